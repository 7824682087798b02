"""One experiment with its places and the room that it takes up, as they are at one moment."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from sqlalchemy import Select, bindparam, func, select

from store.database import tables
from store.database.connection import Database
from store.errors import NotFound
from store.queries.experiments import Experiment, ExperimentRun
from store.queries.usage import Usage
from store.states import RunState, experiment_state, linked_state


class Whole(NamedTuple):
    """An experiment, every place of its sweep in order, and the bytes of its runs' files."""

    experiment: Experiment
    runs: list[ExperimentRun]
    usage: Usage


_COLUMNS = (
    "id",
    "name",
    "tags",
    "notes",
    "spec",
    "owner",
    "priority",
    "created_at",
    "pinned",
    "events",
)


def _bytes(files: type[tables.Artifact] | type[tables.Checkpoint], content: Any) -> Any:
    """The bytes of the files of an experiment's runs. A file of several of them counts once."""
    held = select(tables.ExperimentRun.run_id).where(
        tables.ExperimentRun.experiment_id == bindparam("id")
    )
    each = select(content, files.bytes).where(files.run_id.in_(held)).distinct().subquery()
    return select(func.coalesce(func.sum(each.c.bytes), 0)).scalar_subquery()


def _places() -> Select[Any]:
    link, run, evaluation = tables.ExperimentRun, tables.Run, tables.Evaluation
    return (
        select(
            link.position,
            link.run_id,
            run.train_id,
            link.evaluation_id,
            link.swept,
            link.reused,
            link.wanted,
            run.state,
            evaluation.state.label("evaluation_state"),
        )
        .join(run, run.id == link.run_id)
        .join(evaluation, evaluation.id == link.evaluation_id)
        .where(link.experiment_id == bindparam("id"))
        .order_by(link.position)
    )


# Statements are made once: making one and its key takes longer than sending it.
_EXPERIMENT = select(*(getattr(tables.Experiment, name) for name in _COLUMNS)).where(
    tables.Experiment.id == bindparam("id")
)
_PLACES = _places()
_USAGE = select(
    _bytes(tables.Artifact, tables.Artifact.sha256),
    _bytes(tables.Checkpoint, tables.Checkpoint.path),
)


def whole(database: Database, id: str) -> Whole:
    """The whole of an experiment.

    Raises:
        NotFound: if there is none with this id.
    """
    here = {"id": id}
    with database.look() as connection:
        row = connection.execute(_EXPERIMENT, here).one_or_none()
        if row is None:
            raise NotFound("experiment", id)
        places = connection.execute(_PLACES, here).all()
        artifacts, checkpoints = connection.execute(_USAGE, here).one()
    runs = [
        ExperimentRun(
            experiment_id=id,
            position=place.position,
            run_id=place.run_id,
            train_id=place.train_id,
            evaluation_id=place.evaluation_id,
            swept=place.swept,
            reused=place.reused,
            state=linked_state(place.state, place.evaluation_state, wanted=place.wanted),
        )
        for place in places
    ]
    counts = dict.fromkeys(RunState, 0) | Counter(run.state for run in runs)
    return Whole(
        Experiment(**row._mapping, state=experiment_state(counts), counts=counts),
        runs,
        Usage(int(artifacts), int(checkpoints)),
    )
