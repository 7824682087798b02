"""How long rooms3d takes to draw, with its peak memory, and how fast images of worlds are gathered.

Drawing is timed in a process of its own, into an empty folder: rays are cast, all images coloured,
hashed and written. Batches of random images are gathered as training gathers them, on the CPU.
`--quick` only gathers.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import tempfile
import time
from functools import partial

import numpy as np
import torch

from benchmarks.record import Figure, Row, Table, parser, publish, rounds
from ml.datasets.protocol import dataset
from ml.datasets.resident import ResidentImages
from ml.datasets.worlds._rooms3d_geometry import all_weights
from ml.datasets.worlds.rooms3d import Rooms3D

NAMES = ("dsprites", "rooms3d", "color_dsprites", "noisy_dsprites", "scream_dsprites")
QUICK_NAMES = ("dsprites", "noisy_dsprites")
BATCHES = (64, 256)


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


def drawing(folder: str, command: str) -> Table:
    """Draw rooms3d into a folder, by a process of its own."""
    fresh = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[tuple[float, ...]] = fresh.Queue()
    child = fresh.Process(target=draw, args=(folder, results))
    child.start()
    casting, written, whole, cpu, before, peak = results.get()
    child.join()

    def row(what: str, seconds: float) -> Row:
        return Row([what], {"took": Figure([seconds], "s", "less")})

    def memory(when: str, mib: float) -> Row:
        return Row([when], {"memory": Figure([mib], "MiB", "less", places=0)})

    rows = [
        row("casting the rays of 480 views, one core", casting),
        row("drawing, hashing and writing all images", written),
        row("the same, until the images are on disk", whole),
        row("one core in that time", cpu),
        memory("before drawing", before),
        memory("at most while drawing", peak),
    ]
    return Table("worlds drawing", command, ["rooms3d, 480,000 images"], rows)


def gathering(names: tuple[str, ...], seconds: float, number: int, command: str) -> Table:
    """Gather images of each world in turns."""
    found = rounds(
        number,
        {
            f"{name} {batch}": partial(images_a_second, name, batch, seconds)
            for name in names
            for batch in BATCHES
        },
    )
    rows = []
    for name in names:
        for batch in BATCHES:
            rate = Figure(found[f"{name} {batch}"], "images/s", "more", places=0)
            size = Figure([dataset(name).storage.nbytes / 1e6], "MB", places=0)
            rows.append(Row([name, str(batch)], {"one thread": rate, "on disk": size}))
    return Table("worlds gathering", command, ["gathered", "batch"], rows)


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--seconds", type=float, help="of each round and row (default 3)")
    made.add_argument("--rounds", type=int, help="of gathering (default 3)")
    made.add_argument("--folder", help="where 6.3 GB of images go (default: a temporary folder)")
    arguments = made.parse_args()
    torch.set_num_threads(1)
    seconds = arguments.seconds or (0.5 if arguments.quick else 3.0)
    number = arguments.rounds or (2 if arguments.quick else 3)
    command = f"python -m benchmarks.worlds --seconds {seconds:g} --rounds {number}"
    if arguments.quick:
        command += " --quick"
        publish([gathering(QUICK_NAMES, seconds, number, command)], arguments)
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        drawn = drawing(folder, command)
        os.environ["HEDDLE_DATA"] = folder
        publish([drawn, gathering(NAMES, seconds, number, command)], arguments)


if __name__ == "__main__":
    main()
