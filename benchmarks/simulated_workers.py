"""Simulated workers: threads of a few processes that do with the store what workers do.

They train nothing. Used by `benchmarks.scale`.
"""

from __future__ import annotations

import multiprocessing
import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psutil
from sqlalchemy import text

from store.database.connection import Database
from store.jobs.claim import Claim, claim
from store.jobs.finish import finish_training
from store.jobs.heartbeat import beat
from store.jobs.log import Line, add_lines
from store.states import JobKind

LEASE_SECONDS = 30.0
BEAT_SECONDS = 1.5
PROCESSES = 4

#: Milliseconds of each call, by what it did.
Took = dict[str, list[float]]


class Worker:
    """A worker with connections of its own."""

    def __init__(self, url: str, name: str) -> None:
        self.store = Database(url)
        self.took: Took = defaultdict(list)
        self.name = name
        self._chance = random.Random(name)  # noqa: S311 (no secret)

    def claim(self) -> Claim | None:
        found: list[Claim] = self._measured(
            "claim",
            lambda: claim(self.store, JobKind.TRAIN, worker=self.name, lease_seconds=LEASE_SECONDS),
        )
        return found[0] if found else None

    def beat(self, held: Claim, step: int) -> None:
        self._measured(
            "beat",
            lambda: beat(
                self.store,
                held,
                lease_seconds=LEASE_SECONDS,
                progress={"stage": "training", "step": step, "steps": 1000, "loss": 1.0 / step},
                points={"loss": [(step, 1.0 / step)]},
            ),
        )

    def log(self, held: Claim) -> None:
        line = Line(time.time(), "INFO", self.name, f"{held.run_id} is trained")
        self._measured("log", lambda: add_lines(self.store, held, [line]))

    def end(self, held: Claim) -> None:
        self._measured("end", lambda: finish_training(self.store, held, record={"device": "cpu"}))

    def work(self, until: float, hold_seconds: float) -> None:
        """Claim runs, hold each for a drawn time, and end it, until a moment.

        A run that is held for a time is left where it is at that moment, and workers that hold
        runs begin one after the other. So neither end is a burst.
        """
        if hold_seconds:
            time.sleep(self._chance.random() * (until - time.time()) / 2)
        while time.time() < until:
            held = self.claim()
            if held is None:
                time.sleep(0.05)
                continue
            end = time.time() + self._chance.expovariate(1) * hold_seconds
            step = 10
            self.beat(held, step)
            while (left := min(end, until) - time.time()) > 0:
                time.sleep(min(BEAT_SECONDS, left))
                step += 10
                self.beat(held, step)
            if hold_seconds and time.time() >= until:
                break
            self.log(held)
            self.end(held)

    def _measured(self, name: str, call: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        found = call()
        self.took[name].append((time.perf_counter() - began) * 1000)
        return found


def _threads(
    url: str,
    process: int,
    workers: int,
    seconds: float,
    hold_seconds: float,
    ready: Any,
    answers: Any,
) -> None:
    found = [Worker(url, f"host {process}:{number}") for number in range(workers)]
    errors: list[str] = []

    def work(worker: Worker, until: float) -> None:
        try:
            worker.work(until, hold_seconds)
        except Exception as error:
            errors.append(f"{type(error).__name__}: {str(error)[:300]}")

    ready.wait()
    cpu, until = time.process_time(), time.time() + seconds
    threads = [threading.Thread(target=work, args=(worker, until)) for worker in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took: Took = defaultdict(list)
    for worker in found:
        for name, values in worker.took.items():
            took[name] += values
        worker.store.dispose()
    answers.put((dict(took), errors, time.process_time() - cpu))


@dataclass(frozen=True)
class Crowd:
    """What came of workers that worked at once."""

    #: From the beginning to the last end.
    seconds: float
    took: Took
    #: CPU time of the workers and of the database's server; None where it has none.
    worker_cpu: float
    server_cpu: float | None
    #: The most connections, and the mean number of connections that waited for a lock.
    connections: int | None
    waiting: float | None
    deadlocks: int | None


def crowd(
    url: str, workers: int, seconds: float, hold_seconds: float, server: Server | None
) -> Crowd:
    """Let so many workers work at once.

    Raises:
        RuntimeError: if a worker met an error.
    """
    spawning = multiprocessing.get_context("spawn")
    shares = [workers // PROCESSES + (k < workers % PROCESSES) for k in range(PROCESSES)]
    numbers = [(k, share) for k, share in enumerate(shares) if share]
    ready, answers = spawning.Barrier(len(numbers) + 1), spawning.Queue()
    processes = [
        spawning.Process(
            target=_threads, args=(url, k, share, seconds, hold_seconds, ready, answers)
        )
        for k, share in numbers
    ]
    for process in processes:
        process.start()
    ready.wait()
    began = time.time()
    before = server.cpu_seconds() if server else 0.0
    deadlocks = server.deadlocks() if server else 0
    looks: list[tuple[int, int]] = []
    while time.time() < began + seconds:
        if server:
            looks.append(server.connections())
        time.sleep(0.2)
    took: Took = defaultdict(list)
    failed: list[str] = []
    worker_cpu = 0.0
    for _ in processes:
        found, errors, cpu = answers.get()
        failed += errors
        worker_cpu += cpu
        for name, values in found.items():
            took[name] += values
    ended = time.time()
    spent = server.cpu_seconds() - before if server else None
    for process in processes:
        process.join()
    if failed:
        raise RuntimeError(f"{len(failed)} of {workers} workers failed: {failed[0]}")
    return Crowd(
        ended - began,
        took,
        worker_cpu,
        spent,
        max(count for count, _ in looks) if server else None,
        sum(waiting for _, waiting in looks) / len(looks) if server else None,
        server.deadlocks() - deadlocks if server else None,
    )


class Server:
    """PostgreSQL's processes, and what its statistics say."""

    def __init__(self, url: str) -> None:
        self._store = Database(url)
        found = psutil.Process(self._ask("SELECT pg_backend_pid()")).parent()
        if found is None:
            raise RuntimeError("PostgreSQL does not run on this machine.")
        self._postmaster = found

    def cpu_seconds(self) -> float:
        """CPU time of its processes so far, those that have ended included."""
        own = self._postmaster.cpu_times()
        total = float(own.user + own.system + own.children_user + own.children_system)
        for child in self._postmaster.children():
            times = child.cpu_times()
            total += times.user + times.system
        return total

    def connections(self) -> tuple[int, int]:
        """How many connections there are beside this one, and how many wait for a lock."""
        with self._store.read() as session:
            count, waiting = session.execute(
                text(
                    "SELECT count(*), count(*) FILTER (WHERE wait_event_type = 'Lock')"
                    " FROM pg_stat_activity WHERE datname = current_database()"
                    " AND pid <> pg_backend_pid()"
                )
            ).one()
        return count, waiting

    def deadlocks(self) -> int:
        """How many transactions have waited in a circle so far."""
        return int(
            self._ask("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        )

    def jobs(self) -> dict[str, int]:
        """The statistics of the table of jobs."""
        with self._store.write() as session:
            session.execute(text("SELECT pg_stat_force_next_flush()"))
        with self._store.read() as session:
            row = session.execute(
                text(
                    "SELECT n_tup_upd AS updates, n_tup_hot_upd AS in_place, n_dead_tup AS dead,"
                    " pg_relation_size('jobs') AS heap, pg_indexes_size('jobs') AS indexes"
                    " FROM pg_stat_user_tables WHERE relname = 'jobs'"
                )
            ).one()
        return {name: int(value) for name, value in row._asdict().items()}

    def end(self) -> None:
        self._store.dispose()

    def _ask(self, question: str) -> Any:
        with self._store.read() as session:
            return session.scalar(text(question))
