"""Heddle's own service, and Celery's textbook, under fire: what each loses."""

from __future__ import annotations

import math
import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

from sqlalchemy import func, select
from sqlalchemy.exc import InterfaceError, OperationalError

from heddle.client.client import Client, connect
from heddle.errors import HeddleError
from ml.experiments.experiment import parse_experiment
from store import queries
from store.database.connection import Database
from store.database.tables import Evaluation, Job
from store.errors import WrongState
from store.files.checkpoint_folder import CheckpointFolder
from store.files.folders import MARK
from store.files.objects import ObjectFolder
from store.retention.collect import collect
from store.retention.delete import delete_evaluation, delete_experiment
from store.states import JobState
from tests.chaos.fire import LEASE_SECONDS, Plan, burn
from tests.chaos.programs import Programs, serving
from tests.chaos.verdict import Verdict, judge
from tests.chaos.work import AGAIN, OF_FILE, WIDTH, experiments, file_of_codes

T = TypeVar("T")

SETTINGS = {
    "HEDDLE_LEASE_SECONDS": str(LEASE_SECONDS),
    "HEDDLE_BEAT_SECONDS": "0.5",
    "HEDDLE_SWEEP_SECONDS": "1",
    # Far more than a day's worth of deaths comes in minutes.
    "HEDDLE_MAX_LOSSES": "50",
    "HEDDLE_TRAIN_THREADS": "1",
    "HEDDLE_COHORT_WIDTH": str(WIDTH),
    # At its most eager: a file is left alone for four leases.
    "HEDDLE_COLLECT_SECONDS": "3",
    "HEDDLE_COLLECT_GRACE_SECONDS": "1",
}


@dataclass(frozen=True)
class Outcome:
    """How the work was done under fire."""

    lost: int
    twice: int
    #: Steps trained beyond those needed, as a share of those needed.
    repeated: float
    harms: Counter[str]
    seconds: float


@dataclass(frozen=True)
class Recovery:
    """How somebody else came to have the job of a worker that was harmed, or had it done."""

    seconds: float
    """Until it was taken back, for any worker that is free."""
    in_all: float
    """Until somebody had it: with its wait for a worker that is neither busy nor down."""


@dataclass(frozen=True)
class Outlived(Outcome):
    """How Heddle did it."""

    verdict: Verdict
    recoveries: list[Recovery]
    left: int
    """Files that are there still when everything is deleted."""


def left_after_deleting(
    database: Database, objects: ObjectFolder, checkpoints: CheckpointFolder
) -> int:
    """Delete every experiment and evaluation, collect, and count the files that are left."""
    for experiment in queries.experiments(database, limit=1000).items:
        with suppress(WrongState):
            delete_experiment(database, experiment.id)
    with database.read() as session:
        wanted = session.scalars(select(Evaluation.id).where(Evaluation.wanted)).all()
    for evaluation_id in wanted:
        with suppress(WrongState):
            delete_evaluation(database, evaluation_id)
    # No worker is left that could be about to record a file.
    collect(database, objects, checkpoints, grace_seconds=-1)
    folders = (objects.root, checkpoints.root)
    files = (path for folder in folders for path in folder.rglob("*") if path.is_file())
    return sum(path.name != MARK for path in files)


def hammer(home: Path, plan: Plan, say: Callable[[str], None]) -> Outlived:
    """Run a plan on Heddle's service; use it from the main thread."""
    home.mkdir(parents=True)
    programs = Programs(
        home,
        app="tests.chaos.mined_worker",
        postgresql=plan.postgresql,
        settings=SETTINGS,
        workers={**plan.workers, "control": 1},
    )
    database = Database(programs.database_url)
    try:
        with serving(programs):
            work = _Service(programs, database, plan)
            began = time.monotonic()
            harms = burn(programs, work, plan, say)
            seconds = time.monotonic() - began
            programs.end()
            say("Comparing with undisturbed runs")
            objects = ObjectFolder(home / "objects")
            verdict = judge(database, objects)
            say("Deleting everything")
            left = left_after_deleting(database, objects, CheckpointFolder(home / "checkpoints"))
            return Outlived(
                lost=plan.jobs - verdict.done,
                twice=verdict.twice,
                repeated=programs.trained_steps() / (plan.runs * plan.steps) - 1,
                harms=harms,
                seconds=seconds,
                verdict=verdict,
                recoveries=work.recoveries,
                left=left,
            )
    finally:
        database.dispose()


def hammer_textbook(home: Path, plan: Plan, say: Callable[[str], None]) -> Outcome:
    """The same work and harm, with each job a message; use it from the main thread."""
    home.mkdir(parents=True)
    programs = Programs(
        home, app="tests.chaos.textbook", postgresql=False, settings={}, workers=plan.workers
    )
    with serving(programs):
        work = _Messages(programs, plan)
        began = time.monotonic()
        harms = burn(programs, work, plan, say)
        done = work.done()
        return Outcome(
            lost=plan.jobs - len(done),
            twice=sum(times > 1 for times in done.values()),
            repeated=programs.trained_steps() / (plan.runs * plan.steps) - 1,
            harms=harms,
            seconds=time.monotonic() - began,
        )


@dataclass
class _Hit:
    """A job whose worker was harmed, until it is somebody else's."""

    job_id: str
    fence: int
    at: float = field(default_factory=time.monotonic)
    #: When it was seen to be taken back.
    back: float | None = None


class _Service:
    """The work as experiments, posted to the API and found in the database."""

    def __init__(self, programs: Programs, database: Database, plan: Plan) -> None:
        self._programs, self._database, self._plan = programs, database, plan
        self._hits: list[_Hit] = []
        self._done = 0
        self.recoveries: list[Recovery] = []

    def post(self) -> None:
        """Ask for all of it; a request whose answer was lost is sent again."""
        plan = self._plan
        chance = random.Random(f"{plan.seed} posting")
        files = iter(range(plan.files))
        specs = experiments(plan)
        run_ids: list[str] = []
        with connect(self._programs.url) as client:
            for number, spec in enumerate(specs, start=1):
                key = f"{plan.seed}-{number}"
                sent = _insist(partial(client.submit, spec, idempotency_key=key))
                run_ids += [run.id for run in sent.runs()]
                for file in islice(files, math.ceil(plan.files / len(specs))):
                    self._send_file(client, file)
                time.sleep(chance.uniform(0, 2))
            for run_id in chance.sample(run_ids, plan.again):
                # Refused until it is trained.
                _insist(partial(client.evaluate_run, run_id, AGAIN))

    def _send_file(self, client: Client, number: int) -> None:
        path = self._programs.home / f"codes-{number}.npz"
        path.write_bytes(file_of_codes(self._plan, number))
        _insist(partial(client.evaluate_file, path, OF_FILE))

    def look(self) -> int:
        with suppress(OperationalError, InterfaceError):
            self._recover()
            with self._database.read() as session:
                done = select(func.count()).select_from(Job).where(Job.state == JobState.DONE)
                self._done = session.scalar(done) or 0
        return self._done

    def harmed(self, process: int) -> None:
        """Remember what it held."""
        with suppress(OperationalError, InterfaceError), self._database.read() as session:
            held = session.execute(
                select(Job.id, Job.fence).where(
                    Job.state == JobState.RUNNING, Job.worker.endswith(f":{process}")
                )
            )
            self._hits += [_Hit(job_id, fence) for job_id, fence in held]

    def _recover(self) -> None:
        """Note how long it took until somebody else had what was hit, or had it done."""
        if not self._hits:
            return
        with self._database.read() as session:
            rows = session.execute(
                select(Job.id, Job.fence, Job.state).where(
                    Job.id.in_([hit.job_id for hit in self._hits])
                )
            )
            found = {job_id: (fence, state) for job_id, fence, state in rows}
        now = time.monotonic()
        for hit in list(self._hits):
            fence, state = found[hit.job_id]
            others = fence > hit.fence or state is JobState.DONE
            if hit.back is None and (others or state is JobState.QUEUED):
                hit.back = now
            if others and hit.back is not None:
                self.recoveries.append(Recovery(hit.back - hit.at, now - hit.at))
                self._hits.remove(hit)


def _insist(ask: Callable[[], T]) -> T:
    while True:
        with suppress(HeddleError):
            return ask()
        time.sleep(0.3)


class _Messages:
    """The work as messages to `tests.chaos.textbook`, found in the files that it leaves."""

    def __init__(self, programs: Programs, plan: Plan) -> None:
        self._programs, self._plan = programs, plan

    def post(self) -> None:
        from celery import Celery

        app = Celery(broker=self._programs.broker_url)
        plan = self._plan
        chance = random.Random(f"{plan.seed} posting")
        files = iter(range(plan.files))
        specs = experiments(plan)
        again = set(chance.sample(range(plan.runs), plan.again))
        place = 0
        for number, spec in enumerate(specs):
            for run in parse_experiment(spec).runs:
                arguments = [run.spec.document(), f"{number}-{run.spec.seed}", place in again]
                app.send_task("textbook.train", arguments, queue="train", retry=True)
                place += 1
            for file in islice(files, math.ceil(plan.files / len(specs))):
                path = self._programs.home / f"codes-{file}.npz"
                path.write_bytes(file_of_codes(plan, file))
                arguments = [str(path), f"file-{file}"]
                app.send_task("textbook.evaluate_file", arguments, queue="evaluate", retry=True)
            time.sleep(chance.uniform(0, 2))

    def look(self) -> int:
        return len(self.done())

    def harmed(self, process: int) -> None:
        """Nobody knows what it held."""

    def done(self) -> Counter[str]:
        """How often each job was done."""
        return Counter(path.name.partition(".")[0] for path in self._results("*d.*"))

    def _results(self, pattern: str) -> list[Path]:
        return list(self._programs.results.glob(pattern))
