"""Announcing changes of runs' states to the experiments that hold the runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from store.database.rows import parts
from store.database.tables import Evaluation, ExperimentRun, Run
from store.jobs.events import NewEvent, emit_all
from store.states import RunState, linked_state


@contextmanager
def announcing(session: Session, run_ids: Iterable[str | None]) -> Iterator[None]:
    """Lock runs for changes made inside, then emit `run.<state>` wherever a state has changed.

    The state is the one that the run counts with in an experiment (`linked_state`). So an
    experiment that has its scores gets no event of a later evaluation for another one. Every change
    of a run, its jobs or its evaluations is made inside, except for beats. A None is ignored: it is
    the run of a file's evaluation.

    A transaction that changes several kinds of rows locks runs first, then jobs, then evaluations.
    Experiments are locked last, by their events.
    """
    ids = sorted({run_id for run_id in run_ids if run_id is not None})
    lock_runs(session, ids)
    before = _linked_states(session, ids)
    yield
    after = _linked_states(session, ids)
    # A run may have two places in an experiment, but its change is one event. A link that was
    # made inside needs no event, as its experiment is new as well.
    changes = {
        (experiment_id, run_id, after[link])
        for link, state in before.items()
        if after[link] is not state
        for experiment_id, _, run_id in [link]
    }
    emit_all(
        session,
        (
            NewEvent(experiment_id, f"run.{state}", {"run_id": run_id, "state": state})
            for experiment_id, run_id, state in sorted(changes)
        ),
    )


_LOCK = (
    select(Run.id)
    .where(Run.id.in_(bindparam("ids", expanding=True)))
    .order_by(Run.id)
    # A full lock would make beats wait, as they insert rows that refer to the run.
    .with_for_update(key_share=True)
)


def lock_runs(session: Session, run_ids: Iterable[str]) -> None:
    """Keep others from changing these runs until the transaction ends."""
    for part in parts(run_ids):
        session.connection().execute(_LOCK, {"ids": part})


def _linked_states(session: Session, run_ids: list[str]) -> dict[tuple[str, int, str], RunState]:
    states: dict[tuple[str, int, str], RunState] = {}
    for part in parts(run_ids):
        rows = session.execute(
            select(
                ExperimentRun.experiment_id,
                ExperimentRun.position,
                ExperimentRun.run_id,
                Run.state,
                Evaluation.state,
                ExperimentRun.wanted,
            )
            .join(Run, Run.id == ExperimentRun.run_id)
            .join(Evaluation, Evaluation.id == ExperimentRun.evaluation_id)
            .where(ExperimentRun.run_id.in_(part))
        )
        for experiment_id, position, run_id, run, evaluation, wanted in rows:
            states[experiment_id, position, run_id] = linked_state(run, evaluation, wanted=wanted)
    return states
