"""Which metrics can score groups of codes by their summed importance."""

from __future__ import annotations

from ml.components.registry import components
from ml.metrics.protocol import Metric


def why_not_summed(metric: Metric) -> str | None:
    """Why the metric cannot score groups by importance; None if it can."""
    if metric.sums_groups:
        return None
    able = [
        name
        for name, known in sorted(components("metric").items())
        if issubclass(known, Metric) and known.sums_groups
    ]
    return (
        f"{metric.name} has no importance of each code that could be summed over a group, as"
        f" {', '.join(able)} {'has' if len(able) == 1 else 'have'}; any metric can take groups by"
        " principal_component"
    )
