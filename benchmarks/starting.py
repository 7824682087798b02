"""How long starts take: of the service, of a first job, of `heddle score`, and of imports.

Each start is a process of its own, and they take turns. `import torch` alone is the floor of all
that trains or decodes. The service starts in a fresh home, and again in the same one.
"""

from __future__ import annotations

import argparse
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import numpy as np
import psutil

from benchmarks.record import Figure, Row, Table, parser, publish, rounds

ROOT = Path(__file__).parents[1]
PYTHON = [sys.executable]
HEDDLE = [*PYTHON, "-m", "heddle"]
PATIENCE_SECONDS = 300.0
FLOOR = "import torch"
PYTHON_STARTS = {
    "python -c pass": [*PYTHON, "-c", "pass"],
    FLOOR: [*PYTHON, "-c", "import torch"],
    "import api.main": [*PYTHON, "-c", "import api.main"],
    "import worker.app": [*PYTHON, "-c", "import worker.app"],
    "import worker.training": [*PYTHON, "-c", "import worker.training"],
    "heddle --help": [*HEDDLE, "--help"],
}
SCORE = "heddle score small.npz --metrics mig"


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)}


def start(argv: Sequence[str], cpu: list[float]) -> float:
    """Seconds that a command takes. Those of a core are added to `cpu`."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(argv, check=True, env=environment(), stdout=subprocess.DEVNULL)
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    return seconds


def commands(number: int, folder: Path) -> Table:
    """Seconds of commands, each beside `import torch`."""
    file, random = folder / "small.npz", np.random.default_rng(0)
    factors = random.integers(0, 5, (1000, 3))
    np.savez(file, codes=factors + random.normal(size=factors.shape), factors=factors)
    known = PYTHON_STARTS | {SCORE: [*HEDDLE, "score", str(file), "--metrics", "mig"]}
    cpu: dict[str, list[float]] = {name: [] for name in known}
    measured = {name: partial(start, argv, cpu[name]) for name, argv in known.items()}
    found = {
        name: Figure(values, "s", "less", 2) for name, values in rounds(number, measured).items()
    }
    rows = [
        Row(
            [name],
            {
                "start to end": figure,
                "one core": Figure(cpu[name], "s", "less", 2),
                f"beside `{FLOOR}`": figure.per(found[FLOOR]),
            },
        )
        for name, figure in found.items()
    ]
    return Table("starting/commands", "python -m benchmarks.starting", ["what"], rows)


@dataclass
class Start:
    """What was measured of starts of the service."""

    healthz: list[float] = field(default_factory=list)
    readyz: list[float] = field(default_factory=list)
    first_job: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def row(self, label: str) -> Row:
        return Row(
            [label],
            {
                "until /healthz answers": Figure(self.healthz, "s", "less"),
                "until /readyz answers": Figure(self.readyz, "s", "less"),
                "cores until then": Figure(self.cpu, "s", "less"),
                "until a worker takes a job": Figure(self.first_job, "s", "less"),
            },
        )


def serve(home: Path, seed: int, found: Start) -> None:
    """Start the service, post a run when it is ready, and end it when a worker has the run."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    argv = [*HEDDLE, "up", "--home", str(home), "--port", str(port)]
    began = time.perf_counter()
    process = subprocess.Popen(argv, env=environment(), stdout=subprocess.DEVNULL)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
            until(partial(answers, http, "/healthz"))
            found.healthz.append(time.perf_counter() - began)
            until(partial(answers, http, "/readyz"))
            found.readyz.append(time.perf_counter() - began)
            found.cpu.append(cpu_of(process.pid))
            run = posted(http, seed)
            until(lambda: http.get(run).json()["state"] != "queued")
            found.first_job.append(time.perf_counter() - began)
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def answers(http: httpx.Client, path: str) -> bool:
    try:
        return http.get(path).is_success
    except httpx.TransportError:
        return False


def until(happened: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        if time.monotonic() > give_up:
            raise TimeoutError("the service did not get so far")
        time.sleep(0.02)


def cpu_of(pid: int) -> float:
    """Seconds of a core that a process and all below it have taken, ended ones too."""
    service = psutil.Process(pid)
    return sum(sum(one.cpu_times()[:4]) for one in [service, *service.children()])


def posted(http: httpx.Client, seed: int) -> str:
    """The path of a small run, posted now."""
    spec = {
        "dataset": "digits",
        "model": "mlp",
        "objective": "beta_vae",
        "training": {"steps": 2},
        "evaluation": {"metrics": []},
        "seed": seed,
    }
    experiment = http.post("/v1/experiments", json=spec)
    experiment.raise_for_status()
    return f"/v1/runs/{experiment.json()['runs'][0]['id']}"


def services(number: int, folder: Path) -> Table:
    """Seconds of the service's start, in a fresh home and in a used one."""
    fresh, used = Start(), Start()
    for one in range(number):
        home = folder / f"home{one}"
        serve(home, 2 * one, fresh)
        serve(home, 2 * one + 1, used)
    rows = [fresh.row("fresh"), used.row("used")]
    return Table("starting/service", "python -m benchmarks.starting", ["home"], rows)


def main() -> None:
    arguments: argparse.Namespace = parser(__doc__).parse_args()
    number = 1 if arguments.quick else 5
    with TemporaryDirectory() as folder:
        tables = [commands(number, Path(folder)), services(number, Path(folder))]
    publish(tables, arguments)


if __name__ == "__main__":
    main()
