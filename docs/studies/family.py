"""Trains docs/studies/family.yaml by a service of its own, prints its table, draws its pictures.

python docs/studies/family.py [--home .heddle-family]

After an interruption it goes on where it was: trained runs are not trained again.
"""

from __future__ import annotations

import os
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from matplotlib.figure import Figure

from heddle.cli.output.live import LiveProgress
from heddle.cli.output.terminal import console
from heddle.client.client import connect
from heddle.client.resources import Run
from heddle.service.serving import serving

HERE = Path(__file__).parent
IMAGES = HERE.parent / "images"
SCORES = {
    "mig": "MIG",
    "sap": "SAP",
    "modularity": "modularity",
    "reconstruction": "reconstruction, nats",
    "kl": "KL, nats",
}


@dataclass(frozen=True)
class Result:
    """One run's numbers."""

    run: Run
    objective: str
    seed: int
    scores: Mapping[str, float]


@click.command()
@click.option("--home", default=".heddle-family", type=click.Path(path_type=Path))
def main(home: Path) -> None:
    """Train, print and draw the study."""
    # A process of one thread for each core trains faster than one process of several threads.
    environment = {
        "HEDDLE_TRAIN_PROCESSES": str(os.cpu_count() or 1),
        "HEDDLE_TRAIN_THREADS": "1",
    }
    with serving(home, environment=environment) as url, connect(url) as client:
        experiment = client.submit(HERE / "family.yaml")
        with LiveProgress(client, console()) as live:
            experiment.wait(progress=live)
        results = [_result(run) for run in experiment.runs()]
        by_objective: dict[str, list[Result]] = defaultdict(list)
        for result in results:
            by_objective[result.objective].append(result)
        _print(by_objective)
        _draw(by_objective, IMAGES / "family_scores.png")
        for name, chosen in _typical(by_objective).items():
            for plot in ("objective_terms", "traversal"):
                picture = client.get(f"/v1/runs/{chosen.run.id}/plots/{plot}.png")
                (IMAGES / f"family_{plot}_{name}.png").write_bytes(picture.content)


def _result(run: Run) -> Result:
    scores = {score["name"]: score["value"] for score in run.scores()}
    return Result(run, _label(run.swept["objective"]), run.swept["seed"], scores)


def _label(objective: Mapping[str, Any]) -> str:
    params = ", ".join(
        value if isinstance(value, str) else f"{name} {value}"
        for name, value in objective.items()
        if name != "name"
    )
    return f"{objective['name']}{f' ({params})' if params else ''}"


def _print(by_objective: Mapping[str, Sequence[Result]]) -> None:
    """Print the table in Markdown: the median over seeds, and the number of each seed."""
    print(f"\n| objective | seeds | {' | '.join(SCORES.values())} |")
    print(f"| --- | --- |{' --- |' * len(SCORES)}")
    for objective, results in by_objective.items():
        cells = []
        for name in SCORES:
            digits = 1 if name in ("reconstruction", "kl") else 3
            values = [result.scores[name] for result in results]
            each = ", ".join(f"{value:.{digits}f}" for value in values)
            cells.append(f"**{statistics.median(values):.{digits}f}** ({each})")
        print(f"| `{objective}` | {len(results)} | {' | '.join(cells)} |")


def _draw(by_objective: Mapping[str, Sequence[Result]], path: Path) -> None:
    """Draw MIG by objective, and MIG against reconstruction."""
    figure = Figure(figsize=(8.5, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.1, 1))
    for place, results in enumerate(by_objective.values()):
        mig = [result.scores["mig"] for result in results]
        [dots] = left.plot(mig, [place] * len(mig), "o", ms=5)
        left.plot(statistics.median(mig), place, "|", ms=16, color=dots.get_color())
        reconstruction = [result.scores["reconstruction"] for result in results]
        right.plot(reconstruction, mig, "o", ms=5, color=dots.get_color())
    left.set_yticks(range(len(by_objective)), list(by_objective), fontsize=8)
    left.invert_yaxis()
    left.set_xlabel("MIG (dots: seeds, bar: median)", fontsize=8)
    right.set_xlabel("reconstruction, nats", fontsize=8)
    right.set_ylabel("MIG", fontsize=8)
    for axes in (left, right):
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120, metadata={"Software": None})


def _typical(by_objective: Mapping[str, Sequence[Result]]) -> dict[str, Result]:
    """For each objective, by its plain name, the run of median MIG at its largest weight."""
    chosen = {}
    for results in by_objective.values():
        ordered = sorted(results, key=lambda result: result.scores["mig"])
        middle = ordered[len(ordered) // 2]
        chosen[middle.objective.partition(" ")[0]] = middle
    return chosen


if __name__ == "__main__":
    main()
