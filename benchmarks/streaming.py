"""What a large set of colour images costs: mapped from its file, copied into memory, and dSprites.

Each is timed in a process of its own, which gathers random batches as training does on a CPU.
Opening a set checks its digest and so reads the whole file once, which leaves the file in the
system's cache if there is memory for it.
"""

from __future__ import annotations

import multiprocessing
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.record import Figure, Row, Table, parser, publish
from ml.datasets.protocol import dataset
from ml.datasets.resident import ResidentImages

WAYS = (
    ("dsprites", "mapped"),
    ("dsprites", "in memory"),
    ("rooms3d", "mapped"),
    ("rooms3d", "in memory"),
)
QUICK_WAYS = WAYS[:2]
"""rooms3d takes minutes to draw where it has not been drawn yet."""
Result = tuple[float, float, float]


def memory_mib() -> tuple[float, float]:
    """Memory of this process that is its own, and that it maps from files."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    own, of_files = (int(fields[name].split()[0]) / 1024 for name in ("RssAnon", "RssFile"))
    return own, of_files


def measure(
    name: str, way: str, batch: int, seconds: float, results: multiprocessing.Queue[Result]
) -> None:
    torch.set_num_threads(1)
    data = dataset(name)
    if way == "in memory":
        data = replace(data, storage=np.array(data.storage))
    images, draws = ResidentImages(data, torch.device("cpu")), np.random.default_rng(0)
    images.gather(draws.integers(0, len(data), batch))
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        images.gather(draws.integers(0, len(data), batch))
        done += batch
    taken = time.perf_counter() - start
    results.put((done / taken, *memory_mib()))


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--batch", type=int, default=64)
    made.add_argument("--seconds", type=float, help="of each round (default 4)")
    made.add_argument("--rounds", type=int, help="(default 3)")
    arguments = made.parse_args()
    seconds = arguments.seconds or (0.5 if arguments.quick else 4.0)
    number = arguments.rounds or (2 if arguments.quick else 3)
    ways = QUICK_WAYS if arguments.quick else WAYS
    context = multiprocessing.get_context("spawn")
    found: dict[tuple[str, str], list[Result]] = {way: [] for way in ways}
    for name, _ in ways:
        dataset(name)  # It is prepared before anything is timed.
    for _ in range(number):
        for name, way in ways:
            results: multiprocessing.Queue[Result] = context.Queue()
            given = (name, way, arguments.batch, seconds, results)
            process = context.Process(target=measure, args=given)
            process.start()
            found[name, way].append(results.get())
            process.join()
    figures = {}
    for both, answers in found.items():
        rates, own, of_files = (list(column) for column in zip(*answers, strict=True))
        figures[both] = (
            Figure(rates, "images/s", "more", places=0),
            Figure(own, "MiB", "less", places=0),
            Figure(of_files, "MiB", places=0),
        )
    rows = []
    for (name, way), (rate, own, of_files) in figures.items():
        in_memory = figures[name, "in memory"][0]
        cells: dict[str, Figure | str | None] = {
            "one thread": rate,
            "over the same in memory": rate.per(in_memory) if way == "mapped" else "",
            "own memory": own,
            "mapped": of_files,
        }
        rows.append(Row([name, way], cells))
    command = (
        f"python -m benchmarks.streaming --batch {arguments.batch} --seconds {seconds:g}"
        f" --rounds {number}{' --quick' * arguments.quick}"
    )
    publish([Table("streaming", command, ["data set", "images"], rows)], arguments)


if __name__ == "__main__":
    main()
