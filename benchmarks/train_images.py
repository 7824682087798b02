"""Images a second that training takes, by precision, batch size, threads and allocator.

Each configuration is a process of its own that trains on dSprites from bits. Configurations take
turns. `auto` trains in the precision that it measures to be faster.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.record import Figure, Row, Table, parser, publish, rounds
from heddle.service.service import KEEP_FREED

PRECISIONS = ("float32", "bfloat16", "auto")
BATCHES = (64, 256)
Configuration = tuple[str, int, int]


def measure(precision: str, batch: int, threads: int, steps: int) -> tuple[float, float]:
    """Images of a second and of a CPU second, without the first quarter of the steps."""
    import torch

    from ml import train
    from ml.recorder import Progress, Silent, Wish

    torch.set_num_threads(threads)
    marks: dict[int, tuple[float, float]] = {}

    class Clock(Silent):
        def progress(self, progress: Progress) -> Wish:
            if progress.stage == "training":
                marks[progress.step] = time.perf_counter(), time.process_time()
            return Wish.CONTINUE

    spec = {
        "dataset": "dsprites",
        "model": "burgess",
        "objective": "beta_vae",
        "training": {"steps": steps, "batch_size": batch, "precision": precision},
    }
    train(spec, Clock())
    warm = max(1, steps // 4)
    wall, cpu = (after - before for before, after in zip(marks[warm], marks[steps], strict=True))
    return (steps - warm) * batch / wall, (steps - warm) * batch / cpu


def apart(configuration: Configuration, images: int, keep: bool, cpu: list[float]) -> float:
    """Images a second in a process of its own. Those of a CPU second are added to `cpu`."""
    command = [sys.executable, "-m", "benchmarks.train_images", "--images", str(images), "--one"]
    answer = subprocess.run(
        [*command, *map(str, configuration)],
        env={**os.environ, **(KEEP_FREED if keep else {})},
        cwd=Path(__file__).parents[1],
        check=True,
        stdout=subprocess.PIPE,
    )
    of_a_second, of_a_cpu_second = json.loads(answer.stdout)
    cpu.append(of_a_cpu_second)
    return float(of_a_second)


def rate(values: list[float]) -> Figure:
    return Figure(values, "images/s", "more", places=0)


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--images", type=int, help="images of a measurement (default 6400)")
    made.add_argument("--rounds", type=int, help="measurements of a configuration (default 3)")
    made.add_argument("--one", nargs=3, metavar=("PRECISION", "BATCH", "THREADS"))
    arguments = made.parse_args()
    images = arguments.images or (640 if arguments.quick else 6400)
    if arguments.one:
        precision, batch, threads = arguments.one
        print(json.dumps(measure(precision, int(batch), int(threads), images // int(batch))))
        return
    number = arguments.rounds or (1 if arguments.quick else 3)
    batches, cores = BATCHES[:1] if arguments.quick else BATCHES, os.cpu_count() or 1
    threads_tried = [1] if arguments.quick else sorted({1, cores})
    configurations = list(itertools.product(PRECISIONS, batches, threads_tried))
    cpu: dict[tuple[Configuration, bool], list[float]] = {
        key: [] for key in itertools.product(configurations, (False, True))
    }
    measured: dict[str, Callable[[], float]] = {
        str(key): partial(apart, key[0], images, key[1], found) for key, found in cpu.items()
    }
    wall = rounds(number, measured)
    rows = []
    for configuration in configurations:
        default, kept = (rate(wall[str((configuration, keep))]) for keep in (False, True))
        figures = {
            "freed buffers kept": kept,
            "glibc's default": default,
            "ratio": kept.per(default),
            "kept, of a CPU second": rate(cpu[configuration, True]),
        }
        rows.append(Row([str(one) for one in configuration], figures))
    command = f"python -m benchmarks.train_images --images {images} --rounds {number}"
    labels = ["precision", "batch", "threads"]
    publish([Table("train_images", command, labels, rows)], arguments)


if __name__ == "__main__":
    main()
