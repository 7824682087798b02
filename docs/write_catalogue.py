"""Writes the pages that the catalogue's docstrings make: docs/metrics.md.

python docs/write_catalogue.py
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import cast

from ml.component import Component
from ml.metric import Metric
from ml.registry import components

FOLDER = Path(__file__).parent
MATH = re.compile(r"^\.\. math::(.*(?:\n(?:[ \t]+\S.*)?)*)", re.MULTILINE)
PART = re.compile(r"^(Raises|References):\n((?:[ \t]+.*\n?|\n)+)", re.MULTILINE)
LEAD = """# Metrics

Written from the catalogue by `python docs/write_catalogue.py`. Every score comes with its null
(codes that know nothing of the factors), its 95 % interval and its definition (`mig@1`); how the
first two are made: [0007](decisions/0007-null-and-interval.md). What other code prints on the
same codes: [audit](audit.md). In a spec or in `score(codes, factors, metrics)` a metric is its
name, or `{"name": …}` with params; on the command line `dci:predictor=lasso`.
"""


def metrics_page() -> str:
    """Every metric: what it means, its numbers, its params."""
    return "\n".join([LEAD, *(_section(found) for found in components("metric").values())])


def _section(component: type[Component]) -> str:
    metric = cast(type[Metric], component)
    lines = [f"## {metric.component_name()}", "", _markdown(metric.description()), ""]
    lines += ["| number | range | better | on a perfect code |", "|---|---|---|---|"]
    for number in metric.numbers:
        low, high = ("" if end is None else f"{end:g}" for end in number.range)
        better = "higher" if number.higher_is_better else "lower"
        perfect = "" if number.perfect is None else f"{number.perfect:g}"
        lines.append(f"| `{number.name}` | {low or '-∞'} to {high or '∞'} | {better} | {perfect} |")
    params = {name: field for name, field in metric.model_fields.items() if name != "name"}
    if params:
        lines += ["", "| param | default | meaning |", "|---|---|---|"]
    for name, field in params.items():
        default = "null" if field.default is None else f"{field.default}"
        meaning = " ".join((field.description or "").split())
        lines.append(f"| `{name}` | `{default}` | {meaning} |")
    return "\n".join([*lines, ""])


def _markdown(docstring: str) -> str:
    text = MATH.sub(lambda found: f"$$ {' '.join(found[1].split())} $$\n\n", docstring)
    text = re.sub(r":math:`([^`]+)`", r"$\1$", text)

    def part(found: re.Match[str]) -> str:
        body = "\n".join(line.strip() for line in found[2].splitlines())
        return f"**{found[1]}.** {' '.join(body.split())}\n\n"

    text = PART.sub(part, text + "\n")
    return re.sub(r"\n{3,}", "\n\n", text).strip()


if __name__ == "__main__":
    (FOLDER / "metrics.md").write_text(metrics_page(), encoding="utf-8")
