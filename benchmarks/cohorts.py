"""Images a second of runs that are trained side by side, compared with a run alone.

In one process, each width takes turns with a run alone. The device is `cuda` if torch finds one.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from itertools import product
from typing import Any

import torch

from benchmarks.record import Figure, Row, Table, parser, publish, rounds
from ml.datasets.dataset import Dataset
from ml.datasets.protocol import dataset
from ml.recorder import Progress, Silent, Wish
from ml.training.loop import train_cohort

WARM = 0.25
"""The share of steps, at the beginning, that is not timed."""


class Clock(Silent):
    """Records when each step was done."""

    def __init__(self) -> None:
        self.marks: dict[int, float] = {}

    def progress(self, progress: Progress) -> Wish:
        if progress.stage == "training":
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            self.marks[progress.step] = time.perf_counter()
        return Wish.CONTINUE


def rate(specs: Sequence[dict[str, Any]], data: Dataset) -> float:
    """Images a second of all runs of a cohort together."""
    clocks = [Clock() for _ in specs]
    for _, outcome in train_cohort(specs, clocks, data=data):
        if isinstance(outcome, Exception):
            raise outcome
    training, marks = specs[0]["training"], clocks[-1].marks
    first, last = max(1, int(WARM * training["steps"])), training["steps"]
    images = len(specs) * training["batch_size"] * (last - first)
    return images / (marks[last] - marks[first])


def spec(model: str, objective: str, precision: str, batch: int, steps: int) -> dict[str, Any]:
    training = {"steps": steps, "batch_size": batch, "precision": precision}
    return {"dataset": "dsprites", "model": model, "objective": objective, "training": training}


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--widths", type=int, nargs="+")
    made.add_argument("--models", nargs="+", default=["mlp", "burgess"])
    made.add_argument("--objectives", nargs="+", default=["beta_vae"])
    made.add_argument("--precisions", nargs="+")
    made.add_argument("--batch", type=int, default=64)
    made.add_argument("--steps", type=int, help="of a measurement (default 40)")
    made.add_argument("--rounds", type=int, help="measurements of a row (default 3)")
    made.add_argument("--threads", type=int, default=1)
    arguments = made.parse_args()
    quick = arguments.quick
    widths = arguments.widths or ([2] if quick else [2, 4, 8])
    precisions = arguments.precisions or (["float32"] if quick else ["float32", "bfloat16"])
    steps, number = (
        arguments.steps or (12 if quick else 40),
        arguments.rounds or (2 if quick else 3),
    )
    torch.set_num_threads(arguments.threads)
    data, rows = dataset("dsprites"), []
    for labels in product(arguments.models, arguments.objectives, precisions, widths):
        *named, width = labels
        one = spec(*named, arguments.batch, steps)
        specs = [one | {"seed": seed} for seed in range(width)]
        found = rounds(
            number,
            {"alone": partial(rate, specs[:1], data), "together": partial(rate, specs, data)},
        )
        alone, together = (
            Figure(values, "images/s", "more", places=0) for values in found.values()
        )
        figures = {"alone": alone, "cohort": together, "ratio": together.per(alone)}
        rows.append(Row([str(label) for label in labels], figures))
    command = f"python -m benchmarks.cohorts --steps {steps} --rounds {number}"
    labelled = ["model", "objective", "precision", "width"]
    publish([Table("cohorts", command, labelled, rows)], arguments)


if __name__ == "__main__":
    main()
