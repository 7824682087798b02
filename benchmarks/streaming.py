"""What a large set of colour images costs: mapped from its file, copied into memory, and dSprites.

Each is timed in a process of its own, which gathers random batches as training does on a CPU.
Opening a set checks its digest and so reads the whole file once, which leaves the file in the
system's cache if there is memory for it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from benchmarks.worlds import hardware
from ml.datasets.protocol import dataset
from ml.datasets.resident import ResidentImages

CONSOLE = Console(width=110)
WAYS = (
    ("dsprites", "mapped"),
    ("rooms3d", "mapped"),
    ("rooms3d", "in memory"),
)
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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=5.0)
    arguments = parser.parse_args()
    table = Table(box=MARKDOWN)
    for column in ("data set", "images", "images/s", "own memory MiB", "mapped MiB"):
        table.add_column(column, justify="left" if column in ("data set", "images") else "right")
    context = multiprocessing.get_context("spawn")
    for name, way in WAYS:
        dataset(name)  # It is prepared before anything is timed.
        results: multiprocessing.Queue[Result] = context.Queue()
        given = (name, way, arguments.batch, arguments.seconds, results)
        process = context.Process(target=measure, args=given)
        process.start()
        rate, own, of_files = results.get()
        process.join()
        table.add_row(name, way, f"{rate:,.0f}", f"{own:,.0f}", f"{of_files:,.0f}")
    CONSOLE.print(f"{hardware()}, batch {arguments.batch}, one thread")
    CONSOLE.print(table)


if __name__ == "__main__":
    main()
