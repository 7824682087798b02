"""A server simulated on the real store: its database's clock is ours, and hours pass at once.

Workers claim, report, are preempted and finish by the store's own functions; training is the
passing of simulated time.
"""

from __future__ import annotations

import itertools
import shutil
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import event, insert

from store.database.connection import Database
from store.database.tables import Worker
from store.experiments.new_run import NewRun
from store.experiments.submit import submit
from store.jobs.checkpoints import record_checkpoint
from store.jobs.claim import Claim, claim
from store.jobs.finish import finish_training, release
from store.jobs.heartbeat import beat
from store.jobs.preemption import preempt
from store.queries import experiment_runs, run
from store.scheduling.fair_share import Rules
from store.states import JobKind

SECONDS_A_DAY = 86_400.0
EPOCH = 2_440_587.5
"""The julian day of 1970-01-01."""
LEASE = 1e9


@dataclass
class Busy:
    """What a simulated worker does."""

    claim: Claim
    owner: str
    since: float
    from_step: int
    steps: int

    def step(self, now: float) -> int:
        """A step takes a second."""
        return min(self.steps, self.from_step + int(now - self.since))

    @property
    def ends(self) -> float:
        return self.since + self.steps - self.from_step


@dataclass
class Server:
    """Workers that train one job each, a step a second."""

    database: Database
    workers: int
    rules: Rules = field(default_factory=Rules)
    look_seconds: float = 30.0
    now: float = 1e9
    busy: dict[str, Busy] = field(default_factory=dict)
    #: By owner: seconds that workers spent on his runs.
    spent: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    posted: dict[str, float] = field(default_factory=dict)
    started: dict[str, float] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)
    preemptions: int = 0
    _numbers: Any = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        event.listen(self.database._engine, "connect", self._set_clock)
        self.database._engine.dispose()
        with self.database.write() as session:
            for number in range(self.workers):
                session.execute(
                    insert(Worker).values(
                        name=f"w{number}",
                        kind=JobKind.TRAIN,
                        host="here",
                        pid=number,
                        device="cpu",
                        device_model="cpu",
                        started_at=0,
                        seen_at=1e12,
                    )
                )

    def wait(self, run_id: str) -> float:
        """How long a run waited for its first start, or has waited until now."""
        return self.started.get(run_id, self.now) - self.posted[run_id]

    def _set_clock(self, connection: Any, _: Any) -> None:
        connection.create_function(
            "julianday", 1, lambda _: EPOCH + self.now / SECONDS_A_DAY, deterministic=False
        )

    def post(
        self, owner: str, seconds: int, runs: int = 1, *, priority: int = 0, key: str | None = None
    ) -> list[str]:
        """Post runs that take so long; returns their ids."""
        names = [f"{owner} {next(self._numbers)}" for _ in range(runs)]
        new = [
            NewRun(
                spec={},
                train_id=name,
                evaluation={},
                evaluation_key="none",
                swept={},
                dataset="none",
                objective="none",
                seed=0,
                steps=seconds,
                # None goes with another.
                cohort_key=name,
                pace_key=key or "one",
                images=64_000 * seconds // int(self.rules.short_seconds),
            )
            for name in names
        ]
        made = submit(
            self.database,
            name=None,
            tags=[],
            notes=None,
            owner=owner,
            spec={},
            runs=new,
            priority=priority,
        )
        ids = [link.run_id for link in experiment_runs(self.database, made.id)]
        self.posted |= dict.fromkeys(ids, self.now)
        return ids

    def pass_time(self, until: float) -> None:
        """Let the workers work until a moment."""
        while self.now < until:
            self._claim()
            going = preempt(self.database, self.rules)
            for worker in going & self.busy.keys():
                self._let_go(worker)
            if going:
                self._claim()
            ends = [one.ends for one in self.busy.values()]
            self._go_to(min([until, self.now + self.look_seconds, *ends]))
            for worker, one in list(self.busy.items()):
                if one.ends <= self.now:
                    self._finish(worker)

    def _go_to(self, moment: float) -> None:
        for one in self.busy.values():
            self.spent[one.owner] += moment - self.now
        self.now = moment

    def _claim(self) -> None:
        for number in range(self.workers):
            worker = f"w{number}"
            if worker in self.busy:
                continue
            taken = claim(
                self.database, JobKind.TRAIN, worker=worker, lease_seconds=LEASE, rules=self.rules
            )
            if not taken:
                return
            [one] = taken
            found = run(self.database, one.trains)
            made = (found.progress or {}).get("step", 0)
            owner = found.train_id.partition(" ")[0]
            self.busy[worker] = Busy(one, owner, self.now, made, found.steps)
            self.started.setdefault(one.trains, self.now)

    def _report(self, one: Busy) -> int:
        step = one.step(self.now)
        measured = {
            "from_step": one.from_step,
            "to_step": step,
            "step_seconds": float(step - one.from_step),
        }
        beat(
            self.database,
            one.claim,
            lease_seconds=LEASE,
            progress={"stage": "training", "step": step, "measured": measured},
        )
        return step

    def _let_go(self, worker: str) -> None:
        one = self.busy.pop(worker)
        step = self._report(one)
        record_checkpoint(
            self.database,
            one.claim,
            step=step,
            path=f"{one.claim.run_id}/{one.claim.fence}-{step}",
            sha256="0",
            size=1,
            width=1,
            device_model="cpu",
        )
        release(self.database, one.claim)
        self.preemptions += 1

    def _finish(self, worker: str) -> None:
        one = self.busy.pop(worker)
        self._report(one)
        finish_training(self.database, one.claim, record={})
        self.ended[one.claim.trains] = self.now


def server(folder: Path, sqlite_schema: Path, workers: int, **options: Any) -> Server:
    """A server on a SQLite file of its own."""
    path = folder / "heddle.db"
    shutil.copy(sqlite_schema, path)
    return Server(Database(f"sqlite:///{path}"), workers, **options)
