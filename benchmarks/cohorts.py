"""Images a second of runs that are trained side by side, compared with a run alone.

In one process, each width takes turns with a run alone. The median of the rounds is printed. The
device is `cuda` if torch finds one.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from typing import Any

import torch

from ml.datasets.dataset import Dataset
from ml.datasets.protocol import dataset
from ml.recorder import Progress, Silent, Wish
from ml.reproducibility.environment import default_device, environment
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--widths", type=int, nargs="+", default=[2, 4, 8])
    parser.add_argument("--models", nargs="+", default=["mlp", "burgess"])
    parser.add_argument("--objectives", nargs="+", default=["beta_vae"])
    parser.add_argument("--precisions", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    data = dataset("dsprites")
    print(f"{environment(default_device())['device_model']}, {arguments.threads} thread(s)\n")
    print("| model | objective | precision | width | alone, images/s | cohort, images/s | ratio |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for model in arguments.models:
        for objective in arguments.objectives:
            for precision in arguments.precisions:
                for width in arguments.widths:
                    specs = [
                        {
                            "dataset": "dsprites",
                            "model": model,
                            "objective": objective,
                            "training": {
                                "steps": arguments.steps,
                                "batch_size": arguments.batch,
                                "precision": precision,
                            },
                            "seed": seed,
                        }
                        for seed in range(width)
                    ]
                    alone, together = [], []
                    for _ in range(arguments.rounds):
                        alone.append(rate(specs[:1], data))
                        together.append(rate(specs, data))
                    one, all_ = statistics.median(alone), statistics.median(together)
                    print(
                        f"| {model} | {objective} | {precision} | {width} | {one:.0f} | {all_:.0f}"
                        f" | {all_ / one:.2f} |",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
