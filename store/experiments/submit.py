"""Submitting an experiment: existing runs are joined, and the others are written."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.orm import Session

from store.database.connection import Database, db_now
from store.database.ids import new_id
from store.database.rows import insert_rows, parts
from store.database.tables import Evaluation, Experiment, ExperimentRun, Job, Run
from store.database.tries import Outrun, until_written
from store.datasets import hold_datasets
from store.errors import TooManyQueued
from store.experiments.idempotency import IdempotentRequest, look_up
from store.experiments.new_run import NewRun
from store.experiments.origins import KeptState, add_states, starting_states, states_ahead
from store.experiments.written import Written, evaluations_of, untouched, written
from store.jobs.announce import announcing, lock_runs
from store.jobs.demand import LOCAL, demand, new_job
from store.scheduling.fair_share import Rules
from store.scheduling.pace import Pace, is_short, paces
from store.states import EvaluationState, JobKind, JobState, RunState


@dataclass(frozen=True, slots=True)
class Submitted:
    """The experiment that answers a request."""

    id: str
    #: Whether an earlier request with the same key had made it. Nothing was written then.
    replayed: bool
    #: What was written. None where more must be read: a run has been begun, or has files.
    written: Written | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one owner may ask for, and which jobs are short enough to go first."""

    #: The most runs of one owner that may wait for training; None means no limit.
    most_queued: int | None = None
    short_seconds: float = Rules().short_seconds

    def is_short(self, run: NewRun, known: Mapping[str, Pace], start: KeptState | None) -> bool:
        """Whether the rest of a run's training is expected to be short."""
        steps = steps_left(run, start)
        images = run.images * steps // run.steps
        return is_short(known.get(run.pace_key), steps, images, self.short_seconds)


NO_LIMITS = Limits()


def steps_left(run: NewRun, start: KeptState | None) -> int:
    """How many steps of a run are left to train."""
    return run.steps - (0 if start is None else start.step)


@dataclass(frozen=True, slots=True)
class _Submission:
    experiment: dict[str, Any]
    runs: Sequence[NewRun]
    force: bool
    limits: Limits
    prefer: Collection[str]


def submit(
    database: Database,
    *,
    name: str | None,
    tags: Sequence[str],
    notes: str | None,
    owner: str | None,
    spec: dict[str, Any],
    runs: Sequence[NewRun],
    priority: int = 0,
    force: bool = False,
    request: IdempotentRequest | None = None,
    limits: Limits = NO_LIMITS,
    prefer: Collection[str] = (),
) -> Submitted:
    """Write an experiment and the work that it needs, all or nothing.

    An existing run of the same `train_id` is joined:

    - A finished run gives its scores. If this evaluation of it was never asked for, it is queued.
    - A run in progress is waited for.
    - A failed or cancelled run is queued again and goes on from its checkpoint.

    Two places with one `train_id` share one run. A place that causes no new run is marked
    `reused`. A new run begins at the end of a shorter run on its course, if that run has kept its
    state. A waiting job takes the new priority if that is higher.

    Args:
        database: where to write.
        name: what people call the experiment.
        tags: words to find it by.
        notes: free text.
        owner: who posted it.
        spec: the experiment's spec, resolved, as it is to be shown.
        runs: the places of the sweep, in order; at least one.
        priority: higher goes first.
        force: whether to train anew. Later submissions join the new runs, not the old.
        request: the request's key and hash. A request that has made its experiment before is
            answered with it and not written again, even if both come at once.
        limits: how much one owner may ask for, and what counts as short.
        prefer: see `store.experiments.origins.starting_states`.

    Raises:
        TooManyQueued: if too many of the owner's runs would wait.
        DatasetChanged: if an uploaded data set was renamed or deleted meanwhile.
        ValueError: if there are no runs, or a request without an owner.
        KeyOfAnother: if the owner has sent another request under this key.
        OriginNotKept: if the origin of a run has no kept state.
        StateNotKept: if runs are to `prefer` and a new run goes on from none.
        Contended: if others keep submitting the same runs at the same moment.
    """
    if not runs:
        raise ValueError("An experiment needs at least one run, but got none.")
    if request is not None and owner is None:
        raise ValueError("A key tells requests of one owner apart, but got no owner.")
    experiment = {
        "id": new_id("exp"),
        "name": name,
        "tags": list(tags),
        "notes": notes,
        "spec": spec,
        "owner": owner,
        "priority": priority,
        "events": 0,
        "idempotency_key": request and request.key,
        "request_sha256": request and request.sha256,
    }
    submission = _Submission(experiment, runs, force, limits, prefer)

    def write(session: Session) -> Submitted:
        made = None if request is None else look_up(session.connection(), owner, request)
        if made is not None:
            return Submitted(made, replayed=True)
        return Submitted(str(experiment["id"]), replayed=False, written=_write(session, submission))

    # Somebody else may submit the same work, or send the same request, at this moment.
    return until_written(database, "the same runs", write)


def submitted_before(
    database: Database, owner: str, request: IdempotentRequest
) -> Submitted | None:
    """The answer to a request that has made its experiment before; None for a new request.

    Raises:
        KeyOfAnother: if the owner has sent another request under this key.
    """
    with database.look() as connection:
        made = look_up(connection, owner, request)
    return None if made is None else Submitted(made, replayed=True)


# Statements are made once: making one and its key takes longer than sending it.
_NOW = select(db_now())
_QUEUED = select(func.count()).where(
    Job.state == JobState.QUEUED, Job.kind == JobKind.TRAIN, Job.owner == bindparam("owner")
)
_CURRENT = select(Run.train_id, Run.id).where(
    Run.train_id.in_(bindparam("train_ids", expanding=True)), Run.current
)


def _write(session: Session, submission: _Submission) -> Written | None:
    runs = submission.runs
    train_ids = {run.train_id for run in runs}
    current = current_runs(session, train_ids)
    starts = _starts(session, submission, current)
    # Held before any run is locked, as renaming a data set locks its runs afterwards.
    hold_datasets(session, (pair for run in runs for pair in run.uploaded))
    concerned = {*current.values(), *(start.run_id for start in starts.values())}
    lock_runs(session, concerned)
    known = {} if submission.force else evaluations_of(session, current.values())
    shared = (_key(run, current) for run in runs if run.train_id in current)
    waiting = all(known[key][1] is EvaluationState.QUEUED for key in shared if key in known)
    priority = submission.experiment["priority"]
    # Joining runs that all wait changes nothing about them.
    changes = (
        submission.force or bool(starts) or not (waiting and untouched(session, current, priority))
    )
    with announcing(session, concerned) if changes else nullcontext():
        # The runs were looked up before they were locked, so they are looked up again.
        if changes and current and current_runs(session, train_ids) != current:
            raise Outrun
        if starts and _starts(session, submission, current) != starts:
            raise Outrun
        now = session.connection().execute(_NOW).scalar_one()
        if submission.force:
            _retire(session, current.values())
            current = {}
        experiment = submission.experiment | {"created_at": now}
        insert_rows(session, Experiment, [experiment])
        run_of = _add_runs(session, submission, current, starts, now)
        add_states(session, {run_of[id]: start for id, start in starts.items()}, now)
        evaluation_of = {key: id for key, (id, _) in known.items()}
        _add_evaluations(session, runs, run_of, evaluation_of, now)
        links = _add_links(session, submission, run_of, evaluation_of, set(current))
        if changes:
            joined = [run for run in runs if run.train_id in current]
            evaluation_ids = [evaluation_of[_key(run, run_of)] for run in joined]
            demand(session, current.values(), evaluation_ids)
            _raise_priority(session, current.values(), priority)
        check_queued(session, submission.experiment["owner"], submission.limits)
    if starts or (changes and current):
        return None
    return written(session, experiment, links)


def check_queued(session: Session, owner: str | None, limits: Limits, new: int = 0) -> None:
    """Make sure that an owner's waiting runs, and `new` ones on top, are within the limit.

    Raises:
        TooManyQueued: if they are not.
    """
    if limits.most_queued is None:
        return
    owner = owner or LOCAL
    count = new + session.connection().execute(_QUEUED, {"owner": owner}).scalar_one()
    if count > limits.most_queued:
        raise TooManyQueued(owner, count, limits.most_queued)


def current_runs(session: Session, train_ids: Iterable[str]) -> dict[str, str]:
    """The runs to join: {train_id: run id}."""
    connection = session.connection()
    return {
        train_id: run_id
        for part in parts(train_ids)
        for train_id, run_id in connection.execute(_CURRENT, {"train_ids": part})
    }


def _added(submission: _Submission, current: Mapping[str, str]) -> list[NewRun]:
    """The runs that are to be written."""
    if submission.force:
        # Forced runs do not go on from shorter ones on their course. A fork still has its origin.
        return [replace(run, course_id=None) for run in submission.runs]
    return [run for run in submission.runs if run.train_id not in current]


def _starts(
    session: Session, submission: _Submission, current: Mapping[str, str]
) -> dict[str, KeptState]:
    """The states that new runs begin at and that resumed runs go on from, by `train_id`."""
    starts = starting_states(session, _added(submission, current), submission.prefer)
    if submission.force:
        return starts
    joined = [run for run in submission.runs if run.train_id in current]
    return starts | states_ahead(session, joined, current)


def _retire(session: Session, run_ids: Iterable[str]) -> None:
    for part in parts(run_ids):
        session.execute(update(Run).where(Run.id.in_(part)).values(current=False))


def _add_runs(
    session: Session,
    submission: _Submission,
    current: Mapping[str, str],
    starts: Mapping[str, KeptState],
    now: float,
) -> dict[str, str]:
    """Write the runs that do not exist yet, each with its training job.

    Returns:
        {train_id: run id} of all of the submission's runs.
    """
    run_of = dict(current)
    rows: list[dict[str, Any]] = []
    new: dict[str, NewRun] = {}
    for run in submission.runs:
        if run.train_id in run_of:
            continue
        run_of[run.train_id] = new_id("run")
        new[run_of[run.train_id]] = run
        rows.append(
            {
                "id": run_of[run.train_id],
                "train_id": run.train_id,
                "current": True,
                "state": RunState.QUEUED,
                "spec": run.spec,
                "dataset": run.dataset,
                "objective": run.objective,
                "seed": run.seed,
                "steps": run.steps,
                "created_at": now,
                "course_id": run.course_id,
            }
        )
    if rows:
        known = paces(session, (run.pace_key for run in new.values()))
        jobs = [
            new_job(
                JobKind.TRAIN,
                run_id=row["id"],
                evaluation_id=None,
                priority=submission.experiment["priority"],
                owner=submission.experiment["owner"],
                now=now,
                cohort_key=new[row["id"]].cohort_key,
                pace_key=new[row["id"]].pace_key,
                short=submission.limits.is_short(
                    new[row["id"]], known, starts.get(row["train_id"])
                ),
            )
            for row in rows
        ]
        # The rows have one order for everybody. So of two submissions of the same runs one waits
        # for the other at the first row, and they never wait in a circle.
        insert_rows(session, Run, sorted(rows, key=lambda row: str(row["train_id"])))
        insert_rows(session, Job, jobs)
    return run_of


def _add_evaluations(
    session: Session,
    runs: Sequence[NewRun],
    run_of: Mapping[str, str],
    evaluation_of: dict[tuple[str, str], str],
    now: float,
) -> None:
    """Write the evaluations that do not exist yet, and add them to `evaluation_of`."""
    rows: list[dict[str, Any]] = []
    for run in runs:
        key = _key(run, run_of)
        if key in evaluation_of:
            continue
        evaluation_of[key] = new_id("eval")
        rows.append(
            {
                "id": evaluation_of[key],
                "run_id": key[0],
                "evaluation_key": run.evaluation_key,
                "spec": run.evaluation,
                "state": EvaluationState.QUEUED,
                "created_at": now,
            }
        )
    insert_rows(session, Evaluation, rows)


def _add_links(
    session: Session,
    submission: _Submission,
    run_of: Mapping[str, str],
    evaluation_of: Mapping[tuple[str, str], str],
    known: set[str],
) -> list[dict[str, Any]]:
    """Write the places of the sweep. Returns them, each with its run's `train_id`."""
    rows: list[dict[str, Any]] = []
    for position, run in enumerate(submission.runs):
        rows.append(
            {
                "experiment_id": submission.experiment["id"],
                "position": position,
                "run_id": run_of[run.train_id],
                "evaluation_id": evaluation_of[_key(run, run_of)],
                "swept": run.swept,
                "reused": run.train_id in known,
                "wanted": True,
            }
        )
        known.add(run.train_id)
    insert_rows(session, ExperimentRun, rows)
    places = zip(rows, submission.runs, strict=True)
    return [row | {"train_id": run.train_id} for row, run in places]


def _raise_priority(session: Session, run_ids: Iterable[str], priority: int) -> None:
    for part in parts(run_ids):
        session.execute(
            update(Job)
            .where(Job.run_id.in_(part), Job.state == JobState.QUEUED, Job.priority < priority)
            .values(priority=priority)
        )


def _key(run: NewRun, run_of: Mapping[str, str]) -> tuple[str, str]:
    return run_of[run.train_id], run.evaluation_key
