"""How long rooms3d takes to draw, with its peak memory, and how fast images of worlds are gathered.

Drawing is timed in a process of its own, into an empty folder: rays are cast, all images coloured,
hashed and written. Batches of random images are gathered as training gathers them, on the CPU.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from ml.datasets.protocol import dataset
from ml.datasets.resident import ResidentImages
from ml.datasets.worlds._rooms3d_geometry import all_weights
from ml.datasets.worlds.rooms3d import Rooms3D

NAMES = ("dsprites", "rooms3d", "color_dsprites", "noisy_dsprites", "scream_dsprites")
CONSOLE = Console(width=110)


def hardware() -> str:
    """The processor, the cores that this process may use, and the memory."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = lines[0].partition(":")[2].strip() if lines else model
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, torch {torch.__version__}"


def peak_mib() -> float:
    """The largest memory of this process so far; mapped files count if they were read."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def draw(folder: str, results: multiprocessing.Queue[tuple[float, ...]]) -> None:
    """Draw rooms3d into a folder, and put how long it took and how much memory it used."""
    os.environ["HEDDLE_DATA"] = folder
    before = peak_mib()
    start = time.process_time()
    all_weights()
    casting = time.process_time() - start
    wall, start = time.perf_counter(), time.process_time()
    written = peak = 0.0

    def progress(_done: int, _of: int) -> None:
        nonlocal written, peak
        # After this the file is read once more to check its digest.
        written, peak = time.perf_counter() - wall, peak_mib()

    Rooms3D().read(progress)
    whole = time.perf_counter() - wall
    results.put((casting, written, whole, time.process_time() - start, before, peak))


def images_a_second(name: str, batch: int, seconds: float) -> float:
    """Images that are gathered in batches as float32, at random places, in a second."""
    data = dataset(name)
    images, draws = ResidentImages(data, torch.device("cpu")), np.random.default_rng(0)
    images.gather(draws.integers(0, len(data), batch))
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        images.gather(draws.integers(0, len(data), batch))
        done += batch
    return done / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5, help="seconds of each row (default 5)")
    parser.add_argument("--folder", help="where 6.3 GB of images go (default: a temporary folder)")
    given = parser.parse_args()
    torch.set_num_threads(1)
    CONSOLE.print(hardware(), soft_wrap=True)

    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        fresh = multiprocessing.get_context("spawn")
        results: multiprocessing.Queue[tuple[float, ...]] = fresh.Queue()
        child = fresh.Process(target=draw, args=(folder, results))
        child.start()
        casting, written, whole, cpu, before, peak = results.get()
        child.join()
        table = Table("rooms3d, 480,000 images", "", box=MARKDOWN)
        table.add_row("casting the rays of 480 views, s of one core", f"{casting:.1f}")
        table.add_row("drawing, hashing and writing all images, s", f"{written:.1f}")
        table.add_row("the same, until the images are on disk, s", f"{whole:.1f}")
        table.add_row("s of one core in that time", f"{cpu:.1f}")
        table.add_row("memory before drawing, MiB", f"{before:.0f}")
        table.add_row("peak memory while drawing, MiB", f"{peak:.0f}")
        CONSOLE.print(table)

        os.environ["HEDDLE_DATA"] = folder
        table = Table("gathered, one thread", "batch", "images/s", "on disk, MB", box=MARKDOWN)
        for name in NAMES:
            for batch in (64, 256):
                speed = images_a_second(name, batch, given.seconds)
                stored = dataset(name).storage.nbytes / 1e6
                table.add_row(name, str(batch), f"{speed:,.0f}", f"{stored:,.0f}")
        CONSOLE.print(table)


if __name__ == "__main__":
    main()
