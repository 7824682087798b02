"""Training of one network by Heddle and by its peers, and what matrix products alone would reach.

All train the `burgess` beta-VAE with 10 latents on the same images of dSprites, with the same
batch, threads and precision. Each is a process of its own, and they take turns. Before anything is
timed each trains the first steps from the same weights, batches and noise; unless their losses and
gradients agree, the script ends with an error.

pythae is installed from the package index into an environment of its own, the first time. Where it
cannot be installed, its row says so. On a CPU it has no bfloat16, which is measured where the
processor multiplies it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._machine import hardware
from benchmarks.contenders.contender import Losses, Task, as_argument
from benchmarks.contenders.matrix_products import flops_an_image
from benchmarks.contenders.pythae_trainer import VERSION, NotInstalled, cache, environment
from benchmarks.record import Figure, Row, Table, parser, publish, rounds
from heddle.service.service import KEEP_FREED
from ml import dataset

ROOT = Path(__file__).parents[1]
TOLERANCE = {"float32": 1e-5, "bfloat16": 1e-2}
"""By how much of itself a loss may differ."""
# With AVX2, oneDNN's gradient of a transposed convolution's bias is off by some 3e-4.
GRADIENT_TOLERANCE = {"float32": 1e-3, "bfloat16": 1e-2}


class Unequal(ArithmeticError):
    """A contender computes something else, so its speed says nothing."""


@dataclass(frozen=True)
class Contender:
    title: str
    #: The module in `benchmarks/contenders`, and the name in it.
    module: str
    name: str
    environment: dict[str, str] = field(default_factory=dict, hash=False)
    python: str = sys.executable


HEDDLE = Contender("Heddle, as its workers train", "heddle_training", "heddle", KEEP_FREED)
LOOPS = (
    Contender("plain loop, DataLoader", "plain_loops", "loaded"),
    Contender("plain loop, resident tensor", "plain_loops", "resident"),
    Contender("the same, freed buffers kept", "plain_loops", "resident", KEEP_FREED),
)
LIMITS = (
    Contender("matrix products in the layers' shapes", "matrix_products", "of_layers"),
    Contender("limit: square matrix products", "matrix_products", "square"),
)
PYTHAE = Contender(f"pythae {VERSION}, its trainer", "pythae_trainer", "pythae")


class Process:
    """A contender's process, which is asked for rounds."""

    def __init__(self, process: subprocess.Popen[str], title: str, said: Path) -> None:
        self._process, self._title, self._said = process, title, said
        self.cpu: list[float] = []

    def ask(self, what: str) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        print(what, file=self._process.stdin, flush=True)
        if not (line := self._process.stdout.readline()):
            raise SystemExit(f"{self._title} ended by itself:\n{self._said.read_text()[-2000:]}")
        return json.loads(line)

    def wall_of_round(self) -> float:
        """Seconds of a round. Its CPU seconds are added to `cpu`."""
        wall, cpu = self.ask("round")
        self.cpu.append(cpu)
        return float(wall)


@contextmanager
def started(contender: Contender, task: Task) -> Iterator[Process]:
    module = f"benchmarks.contenders.{contender.module}"
    said = Path(task.folder, f"{contender.title}.log")
    with (
        said.open("w") as errors,
        subprocess.Popen(
            [contender.python, "-m", module, contender.name, as_argument(task)],
            cwd=ROOT,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "OMP_NUM_THREADS": str(task.threads),
                # All train on the CPU, also where Heddle would take a GPU.
                "CUDA_VISIBLE_DEVICES": "",
                **contender.environment,
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        try:
            yield Process(process, contender.title, said)
        finally:
            process.kill()


def write_images(task: Task) -> None:
    """Draw the images, and write them for every process to read."""
    data = dataset("dsprites")
    index = np.random.default_rng(0).choice(len(data), task.images, replace=False)
    np.save(Path(task.folder, "index.npy"), index)
    np.save(Path(task.folder, "images.npy"), data.images(index))


def check_equal(title: str, ours: Losses, theirs: Losses, precision: str) -> None:
    """Raise `Unequal` unless the losses of all steps and the first gradient agree."""
    own = np.array([*ours.losses, ours.gradient_norm])
    other = np.array([*theirs.losses, theirs.gradient_norm])
    allowed = [TOLERANCE[precision]] * len(ours.losses) + [GRADIENT_TOLERANCE[precision]]
    if own.shape != other.shape or not np.all(np.abs(own - other) <= allowed * np.abs(own)):
        raise Unequal(f"{title}: {other.tolist()}, but Heddle: {own.tolist()}")


def measure(
    task: Task, number: int, contenders: Sequence[Contender]
) -> dict[Contender, tuple[Figure, Figure]]:
    """Images a second of CPU time and of wall time of each contender."""
    write_images(task)
    with ExitStack() as stack:
        processes = {one: stack.enter_context(started(one, task)) for one in contenders}
        # Heddle is first: it writes what the others replay.
        ours = Losses(*processes[HEDDLE].ask("replay"))
        for one, process in processes.items():
            if one is not HEDDLE and (answer := process.ask("replay")) is not None:
                check_equal(one.title, ours, Losses(*answer), task.precision)
        walls = rounds(
            number, {one.title: process.wall_of_round for one, process in processes.items()}
        )
    images = task.steps * task.batch

    def figure(seconds: list[float]) -> Figure:
        return Figure([images / one for one in seconds], "images/s", places=0)

    return {
        one: (figure(process.cpu), figure(walls[one.title])) for one, process in processes.items()
    }


def with_pythae(precision: str) -> tuple[list[Contender], str | None]:
    """Whoever can be measured, and why pythae cannot be."""
    if precision != "float32":
        return [HEDDLE, *LOOPS, *LIMITS], "has none on a CPU"
    try:
        python = environment(cache())
    except NotInstalled as reason:
        print(reason, file=sys.stderr)
        return [HEDDLE, *LOOPS, *LIMITS], "could not be installed"
    return [HEDDLE, replace(PYTHAE, python=python), *LOOPS, *LIMITS], None


def over(ours: Figure, theirs: Figure) -> Figure:
    return replace(ours, better="more").per(theirs)


def table(
    found: dict[Contender, tuple[Figure, Figure]],
    command: str,
    name: str,
    missing: str | None = None,
) -> Table:
    """`missing` says why there is no pythae."""
    ours, ours_wall = found[HEDDLE]
    loader = found[LOOPS[0]]
    rows = []
    for one, (cpu, wall) in found.items():
        rate = Figure([v * flops_an_image() / 1e9 for v in cpu.values], "GFLOP/s")
        if one is HEDDLE:
            cpu = replace(cpu, better="more").beside(loader[0])
            wall = replace(wall, better="more").beside(loader[1])
        figures: dict[str, Figure | str | None] = {
            "of a CPU second": cpu,
            "of a second": wall,
            "arithmetic": rate,
            "Heddle over it": "" if one is HEDDLE else over(ours, cpu),
            "the same, by the clock": "" if one is HEDDLE else over(ours_wall, wall),
        }
        rows.append(Row([one.title], figures))
    if missing:
        rows.append(Row([PYTHAE.title], {"of a CPU second": missing}))
    return Table(name, command, ["trained by"], rows)


def precisions() -> list[str]:
    """float32, and bfloat16 where the processor multiplies it."""
    multiplied = {"avx512_bf16", "amx_bf16", "bf16"} & set(hardware()["flags"])
    return ["float32", "bfloat16"] if multiplied else ["float32"]


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--batch", type=int, default=64)
    made.add_argument("--threads", type=int, default=1)
    made.add_argument("--precision", choices=list(TOLERANCE), help="(default: each, but --quick)")
    made.add_argument("--images", type=int, help="timed images of a round (default 1600)")
    made.add_argument("--rounds", type=int, help="(default 5)")
    arguments = made.parse_args()
    number = arguments.rounds or (3 if arguments.quick else 5)
    images = arguments.images or (768 if arguments.quick else 1600)
    asked = ["float32"] if arguments.quick else precisions()
    tables = []
    for precision in [arguments.precision] if arguments.precision else asked:
        contenders, missing = with_pythae(precision)
        with tempfile.TemporaryDirectory() as folder:
            task = Task(
                folder=folder,
                batch=arguments.batch,
                threads=arguments.threads,
                precision=precision,
                warm=4 if arguments.quick else 10,
                steps=max(1, images // arguments.batch),
            )
            found = measure(task, number, contenders)
        command = (
            f"python -m benchmarks.peers --batch {task.batch} --threads {task.threads}"
            f" --precision {precision} --images {images} --rounds {number}"
        )
        tables.append(table(found, command, f"peers {precision}", missing))
    publish(tables, arguments)


if __name__ == "__main__":
    main()
