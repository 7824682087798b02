"""Modularity as computed by codebases that do not guard against dead codes."""

from __future__ import annotations

from ml.evaluation.published._formula import Outcome, no_number
from ml.evaluation.published._rows import codes_listed
from ml.metrics.information.modularity import modularity
from ml.metrics.information.mutual_information import Information


def unguarded_modularity(known: Information) -> float:
    """Our `modularity`, but NaN (0 / 0) if a code knows nothing of any factor."""
    if not known.mutual.any(1).all():
        return float("nan")
    return float(modularity(known.mutual).mean())


def without_modularity(known: Information) -> Outcome | None:
    """The outcome if a code knows nothing of any factor, else None."""
    if known.mutual.any(1).all():
        return None
    ignorant = codes_listed(known.mutual.max(1) == 0)
    return no_number("nan", f"there is no information in {ignorant}, and the whole score is 0 / 0")
