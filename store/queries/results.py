"""Reading the results of runs: evaluations, scores and artifacts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from store.database import tables
from store.database.connection import Database
from store.database.pages import Page, cut, decode
from store.errors import NotFound
from store.states import EvaluationState


@dataclass(frozen=True, slots=True)
class File:
    """An uploaded file; its bytes are in the object folder."""

    sha256: str
    bytes: int
    #: The name that its first sender gave it.
    name: str
    #: None for a file that was sent before this was recorded.
    understood: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One evaluation, of a run or of a file."""

    id: str
    #: None for the evaluation of a file.
    run_id: str | None
    #: None for the evaluation of a run.
    file: File | None
    evaluation_key: str
    #: Resolved; `{evaluation, traversal}` for a run.
    spec: dict[str, Any]
    state: EvaluationState
    error: dict[str, Any] | None
    created_at: float
    finished_at: float | None
    #: As of the last beat; None until a worker has reported any.
    progress: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Score:
    """One score, as `ml` gave it."""

    run_id: str | None
    evaluation_id: str
    position: int
    document: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file of a run; its bytes are in the object folder."""

    run_id: str
    #: None for an artifact of the training.
    evaluation_id: str | None
    name: str
    sha256: str
    media_type: str
    bytes: int
    created_at: float


def evaluations(database: Database, run_id: str) -> list[Evaluation]:
    """All evaluations of a run, oldest first.

    Raises:
        NotFound: if there is no such run.
    """
    query = _SELECT_EVALUATIONS.where(tables.Evaluation.run_id == run_id)
    with database.read() as session:
        _check_run(session, run_id)
        rows = session.execute(query.order_by(tables.Evaluation.id)).all()
    return [_evaluation(row, progress) for row, progress in rows]


def evaluations_of_files(
    database: Database, *, limit: int, cursor: str | None = None
) -> Page[Evaluation]:
    """Evaluations of files, newest first.

    Raises:
        BadCursor: if the cursor is not one that this list gave.
    """
    id = tables.Evaluation.id
    query = _SELECT_EVALUATIONS.where(tables.Evaluation.run_id.is_(None))
    if cursor is not None:
        query = query.where(id < decode(cursor, "eval"))
    with database.read() as session:
        rows = session.execute(query.order_by(id.desc()).limit(limit + 1)).all()
    return cut([_evaluation(row, progress) for row, progress in rows], limit)


def evaluation(database: Database, id: str) -> Evaluation:
    """One evaluation.

    Raises:
        NotFound: if there is none with this id.
    """
    with database.read() as session:
        found = session.execute(_SELECT_EVALUATIONS.where(tables.Evaluation.id == id)).all()
    for row, progress in found:
        return _evaluation(row, progress)
    raise NotFound("evaluation", id)


def scores(database: Database, run_id: str, *, evaluation_id: str | None = None) -> list[Score]:
    """A run's scores: of one evaluation, or of all in the order in which they were asked for.

    Raises:
        NotFound: if there is no such run.
    """
    query = (
        select(tables.Score)
        .where(tables.Score.run_id == run_id)
        .order_by(tables.Score.evaluation_id, tables.Score.position)
    )
    if evaluation_id is not None:
        query = query.where(tables.Score.evaluation_id == evaluation_id)
    with database.read() as session:
        _check_run(session, run_id)
        rows = session.scalars(query).all()
    return [_score(row) for row in rows]


def scores_of_evaluation(database: Database, id: str) -> list[Score]:
    """The scores of one evaluation, in its order. There are none before it has succeeded.

    Raises:
        NotFound: if there is no such evaluation.
    """
    query = (
        select(tables.Score).where(tables.Score.evaluation_id == id).order_by(tables.Score.position)
    )
    with database.read() as session:
        if session.get(tables.Evaluation, id) is None:
            raise NotFound("evaluation", id)
        rows = session.scalars(query).all()
    return [_score(row) for row in rows]


def artifacts(database: Database, run_id: str) -> list[Artifact]:
    """A run's artifacts by name, the newest of each.

    Raises:
        NotFound: if there is no such run.
    """
    with database.read() as session:
        _check_run(session, run_id)
        rows = session.scalars(
            select(tables.Artifact)
            .where(tables.Artifact.run_id == run_id)
            .order_by(tables.Artifact.id)
        ).all()
    newest = {row.name: row for row in rows}
    return [_artifact(newest[name]) for name in sorted(newest)]


def artifact(database: Database, run_id: str, name: str) -> Artifact:
    """A run's newest artifact of this name.

    Raises:
        NotFound: if the run has none of this name.
    """
    with database.read() as session:
        row = session.scalars(
            select(tables.Artifact)
            .where(tables.Artifact.run_id == run_id, tables.Artifact.name == name)
            .order_by(tables.Artifact.id.desc())
            .limit(1)
        ).one_or_none()
    if row is None:
        raise NotFound(f"artifact of run {run_id} named", name)
    return _artifact(row)


def artifact_by_sha(database: Database, sha256: str) -> Artifact:
    """The newest artifact with this content, of any run.

    Raises:
        NotFound: if no run has such an artifact.
    """
    with database.read() as session:
        row = session.scalars(
            select(tables.Artifact)
            .where(tables.Artifact.sha256 == sha256)
            .order_by(tables.Artifact.id.desc())
            .limit(1)
        ).one_or_none()
    if row is None:
        raise NotFound("artifact with SHA-256", sha256)
    return _artifact(row)


def _check_run(session: Session, run_id: str) -> None:
    if session.scalar(select(tables.Run.id).where(tables.Run.id == run_id)) is None:
        raise NotFound("run", run_id)


_SELECT_EVALUATIONS = select(tables.Evaluation, tables.Job.progress).outerjoin(
    # There is no job while the evaluation's run is still in training.
    tables.Job,
    tables.Job.evaluation_id == tables.Evaluation.id,
)


def _score(row: tables.Score) -> Score:
    return Score(
        run_id=row.run_id,
        evaluation_id=row.evaluation_id,
        position=row.position,
        document=row.document,
    )


def _file(row: tables.Evaluation) -> File | None:
    if row.file_sha256 is None:
        return None
    assert row.file_bytes is not None and row.file_name is not None
    return File(
        sha256=row.file_sha256,
        bytes=row.file_bytes,
        name=row.file_name,
        understood=row.understood,
    )


def _evaluation(row: tables.Evaluation, progress: dict[str, Any] | None) -> Evaluation:
    return Evaluation(
        id=row.id,
        run_id=row.run_id,
        file=_file(row),
        evaluation_key=row.evaluation_key,
        spec=row.spec,
        state=row.state,
        error=row.error,
        created_at=row.created_at,
        finished_at=row.finished_at,
        progress=progress,
    )


def _artifact(row: tables.Artifact) -> Artifact:
    return Artifact(
        run_id=row.run_id,
        evaluation_id=row.evaluation_id,
        name=row.name,
        sha256=row.sha256,
        media_type=row.media_type,
        bytes=row.bytes,
        created_at=row.created_at,
    )
