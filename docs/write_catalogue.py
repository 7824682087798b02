"""Writes the pages that the catalogue's docstrings make: metrics, objectives, plots, datasets.

python docs/write_catalogue.py

What the pages say of the validity of metrics comes from `ml/evaluation/validity/certificates.json`,
which `python docs/write_validity.py` writes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from pydantic import ValidationError

from ml.components.component import Component
from ml.components.described import descriptions
from ml.components.registry import components
from ml.datasets.protocol import DatasetComponent
from ml.evaluation.validity.certificate import Certificate, certificates
from ml.evaluation.validity.properties import PROPERTIES, REQUIRED, SEEN, Property, Verdict
from ml.evaluation.validity.worlds import WORLDS
from ml.metrics.protocol import Metric
from ml.objectives.protocol import Objective
from ml.plots.protocol import Plot

FOLDER = Path(__file__).parent
MATH = re.compile(r"^\.\. math::(.*(?:\n(?:[ \t]+\S.*)?)*)", re.MULTILINE)
PART = re.compile(
    r"^(Choosing|Differences|Mistakes elsewhere|Raises|References):\n((?:[ \t]+.*\n?|\n)+)",
    re.MULTILINE,
)
METRICS = """# Metrics

Written from the catalogue by `python docs/write_catalogue.py`. Every score comes with its null
(codes that know nothing of the factors), its 95 % interval and its definition (`mig@1`); how the
first two are made: [0007](decisions/0007-null-and-interval.md). What other code prints on the
same codes: [audit](audit.md). In a spec or in `score(codes, factors, metrics)` a metric is its
name, or `{"name": …}` with params; on the command line `dci:predictor=lasso`.

A factor that a run's data set has with a single value is left out, and `details.factors_left_out`
names it; one that is constant on the rows by accident is an error.

## Validity

Every metric was driven once through codes of which it is known what they hold of the factors. The
table says which properties of a good score each number has (✓) and which it fails (✗); `·` stands
for a property that does not apply. A number of which neither direction is better has no row. The
last column names the changes of a perfect code that the number penalises, which is what it measures
and no fault. What the properties and the worlds are: [validity](validity.md).

![Which number has which property](images/validity_properties.png)

From perfect codes to noise, with the share of the codes' variance that is noise across:

![Scores on the path from perfect codes to noise](images/validity_paths.png)
"""
VALIDITY = """# Validity

Which properties of a good score each metric has, and which it fails, stands in
[metrics](metrics.md#validity). Here is what the properties and the known worlds are. Advice beside
scores names those that mislead on data like the rows at hand; it follows from the same values.

`python docs/write_validity.py` drives every metric through the worlds, writes what they gave to
`ml/evaluation/validity/certificates.json`, and draws the pictures. A metric is driven by being in
the registry. `GET /v1/catalog` has the verdicts.

A world has 2160 rows, or 720 for settings that an audit calls slow, and factors of 3, 4, 5 and 6
values. A setting is scored with its default params and with those of an audit. Numbers whose name
begins with `error` are left out, as they are 1 - informativeness.
"""
OBJECTIVES = """# Objectives

Written from the catalogue by `python docs/write_catalogue.py`. All are minimised, in nats a sample:
the reconstruction -log p(x|z) is summed over pixels and channels (its likelihood is
`training.likelihood`), the KL over latents, and both are means over the batch, with one sample of z
an image. "The study" is Locatello et al., 2019, https://arxiv.org/abs/1811.12359, whose values are
for images of 64 x 64 and 10 latents. Every coefficient may follow a schedule:
`training: {coefficients: {beta: {name: warm_up, over: 10000}}}`.

How they compare on dSprites, measured: [studies/family.md](studies/family.md). Mistakes of other
people's code are named so that results obtained with it can be read; each was read in that code or
in the thread named.
"""


PLOTS = """# Plots

Written from the catalogue by `python docs/write_catalogue.py`; how they look: [the study of
beta](studies/beta.md). Each is a PNG or an SVG as wide as a paper's column or page, and its params
are query parameters, or options of the command line:

```bash
curl -O localhost:8000/v1/runs/run_…/plots/codes_map.svg?colour=shape
heddle plot run_… codes_map --set colour=shape --out codes.svg
```

`traversal`, `reconstructions`, `curves` and `objective_terms` are drawn as soon as a run is scored;
all are drawn when asked for. What has nothing to draw answers 409 and says why.
"""
DATASETS = """# Data sets

Written from the catalogue by `python docs/write_catalogue.py`. A spec names a data set
(`dataset: shapes3d`), or gives it params (`dataset: {name: mnist, size: 32}`).

Heddle downloads nothing. Where a data set is read from files, the operator puts them into the data
folder (`HEDDLE_DATA`, or `data` in `HEDDLE_HOME`) at `path`. If a file is missing, the answer says
which, its size, its checksum and where it was published. A file is prepared once, in blocks, and
then mapped by every process. A run's identity has the digest of the file in place of its path; that
of a folder of renders is over the names and sizes of its files, so do not replace files by others
of the same sizes.

Every data set also takes the choices of rows and factors and the corruptions of inputs (`only`,
`without`, `images`, `input_noise` and so on), which the tables below leave out.

How to add one: [how-to/dataset.md](how-to/dataset.md).
"""
PLACES = {
    "run": "Of a run: `/v1/runs/{id}/plots/NAME.png`",
    "study": "Of an experiment: `/v1/experiments/{id}/plots/NAME.png`",
    "dataset": "Of a data set: `/v1/datasets/{name}/plots/NAME.png`",
}


def metrics_page() -> str:
    """Every metric: what it means, its numbers, its params."""
    metrics = (_metric(found) for found in components("metric").values())
    return "\n".join([METRICS, *_table_of_validity(), *metrics])


def validity_page() -> str:
    """What the known worlds and the properties of a good score are, and who fails them."""
    lines = [VALIDITY, "## Properties that every score should have", ""]
    lines += [*_properties(REQUIRED), "## What a score measures", "", *_properties(SEEN)]
    lines += ["## Known worlds", "", "| world | what its codes are |", "|---|---|"]
    lines += [f"| `{name}` | {one.meaning} |" for name, one in WORLDS.items()]
    lines += ["", "## Without a value", "", *_without_value()]
    return "\n".join([*lines, ""])


def _properties(found: Mapping[str, Property]) -> list[str]:
    lines = ["| property | in tables | meaning |", "|---|---|---|"]
    return [*lines, *(f"| `{name}` | {p.short} | {p.meaning} |" for name, p in found.items()), ""]


def _without_value() -> list[str]:
    """Which numbers have no value in which worlds, and why."""
    worlds: dict[tuple[str, str], list[str]] = {}
    lines = []
    for one in certificates():
        lines += [f"- {_number(one, name)}: {why}" for name, why in one.without_value.items()]
        found = {f"`{one.label}`": one.errors}
        found |= {_number(one, name): driven.missing for name, driven in one.numbers.items()}
        for whose, errors in found.items():
            for world, why in errors.items():
                worlds.setdefault((whose, why), []).append(f"'{world}'")
    return lines + [f"- {whose} in {', '.join(of)}: {why}" for (whose, why), of in worlds.items()]


def _table_of_validity() -> list[str]:
    shorts = [one.short for one in REQUIRED.values()]
    lines = [f"| number | {' | '.join(shorts)} | penalises |", "|---" * (len(shorts) + 2) + "|"]
    for one in certificates():
        for number in one.judged():
            verdicts = one.verdicts[number]
            marks = [{True: "✓", False: "✗", None: "·"}[verdicts[name].holds] for name in REQUIRED]
            seen = ", ".join(PROPERTIES[name].short for name in one.sees(number))
            lines.append(f"| {_number(one, number)} | {' | '.join(marks)} | {seen} |")
    return [*lines, ""]


def _validity(name: str) -> list[str]:
    """What a metric fails, for each of its numbers."""
    lines = []
    for one in certificates():
        if one.metric != name:
            continue
        if one.declined:
            lines.append(f"- `{one.label}` has no certificate ({one.declined})")
        for number, why in one.without_value.items():
            lines.append(f"- {_number(one, number)} has no certificate ({why})")
        for number in one.judged():
            fails = [f"`{name}` {_gave(verdict)}" for name, verdict in one.failed(number).items()]
            lines.append(f"- {_number(one, number)} fails: {', '.join(fails) or 'none'}")
    return ["**Validity.**", "", *lines, ""] if lines else []


def _number(one: Certificate, number: str) -> str:
    return f"`{number}`" if one.label == number else f"`{number}` of `{one.label}`"


def _gave(verdict: Verdict) -> str:
    check = verdict.worst
    return f"({check.value:.3g} in place of {check.expected:.3g} in '{check.world}')"


def objectives_page() -> str:
    """Every objective: its formula, how to choose its coefficients, where it differs."""
    return "\n".join(
        [OBJECTIVES, *(_objective(found) for found in components("objective").values())]
    )


def plots_page() -> str:
    """Every plot by what it is of: what it shows, its params."""
    plots = [cast(type[Plot], found) for found in components("plot").values()]
    lines = [PLOTS]
    for of, heading in PLACES.items():
        lines += [f"## {heading}", ""]
        for plot in plots:
            if plot.of == of:
                lines += [f"### {plot.component_name()}", "", _markdown(plot.description()), ""]
                lines += _params(plot)
    return "\n".join(lines)


def datasets_page() -> str:
    """Every data set: what it is, its factors, its files and licence, its params."""
    found = components("dataset")
    lines = [DATASETS, "| data set | what it is |", "|---|---|"]
    lines += [f"| [{name}](#{name}) | {one.summary()} |" for name, one in found.items()]
    lines.append("")
    for name, one in found.items():
        lines += [f"## {name}", "", _markdown(one.description()), "", *_params(one)]
    return "\n".join(lines)


def _objective(component: type[Component]) -> str:
    objective = cast(type[Objective], component)
    lines = [f"## {objective.component_name()}", "", _markdown(objective.description()), ""]
    return "\n".join([*lines, *_params(objective)])


def _metric(component: type[Component]) -> str:
    metric = cast(type[Metric], component)
    lines = [f"## {metric.component_name()}", "", _markdown(metric.description()), ""]
    lines += ["| number | range | better | on a perfect code |", "|---|---|---|---|"]
    for number in metric.numbers:
        low, high = ("" if end is None else f"{end:g}" for end in number.range)
        better = {True: "higher", False: "lower", None: "neither"}[number.higher_is_better]
        perfect = "" if number.perfect is None else f"{number.perfect:g}"
        lines.append(f"| `{number.name}` | {low or '-∞'} to {high or '∞'} | {better} | {perfect} |")
    return "\n".join([*lines, "", *_validity(metric.component_name()), *_params(metric)])


def _params(component: type[Component]) -> list[str]:
    """A table of the params, or nothing where there are none."""
    shared = DatasetComponent.model_fields if issubclass(component, DatasetComponent) else {"name"}
    params = {name: field for name, field in component.model_fields.items() if name not in shared}
    if not params:
        return []
    try:
        defaults = component.model_validate({"name": component.component_name()}).model_dump()
    except ValidationError:
        # It cannot be used by its name alone, as a table of images needs a path.
        defaults = {
            name: field.get_default(call_default_factory=True) for name, field in params.items()
        }
    described = descriptions(component)
    lines = ["| param | default | meaning |", "|---|---|---|"]
    for name in params:
        default = "null" if defaults[name] is None else f"{defaults[name]}"
        meaning = " ".join(described.get(name, "").split())
        lines.append(f"| `{name}` | `{default}` | {meaning} |")
    return [*lines, ""]


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
    (FOLDER / "validity.md").write_text(validity_page(), encoding="utf-8")
    (FOLDER / "objectives.md").write_text(objectives_page(), encoding="utf-8")
    (FOLDER / "plots.md").write_text(plots_page(), encoding="utf-8")
    (FOLDER / "datasets.md").write_text(datasets_page(), encoding="utf-8")
