"""The lines that workers logged of runs, and of evaluations of files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import func, select

from store.database.connection import Database
from store.database.rows import insert_rows
from store.database.storable import storable
from store.database.tables import Evaluation, LogLine, Run
from store.errors import NotFound
from store.jobs.claim import Claim


@dataclass(frozen=True, slots=True)
class Line:
    """A log record; its message may itself have several lines."""

    #: By the worker's clock.
    at: float
    level: str
    worker: str
    message: str


@dataclass(frozen=True, slots=True)
class KeptLine(Line):
    """A line in the database."""

    #: It rises from line to line of a run.
    number: int


def add_lines(database: Database, claim: Claim, lines: Sequence[Line]) -> None:
    """Keep lines that were logged while a job was held.

    The fence is not checked: what a worker logged stays true after it has lost the job.
    """
    subject = {"run_id": claim.run_id, "evaluation_id": claim.evaluation_id}
    with database.write() as session:
        if session.get_bind().dialect.name == "postgresql":
            # PostgreSQL's numbers may commit out of order. Then a reader that reads on would miss a
            # line, so writers of one run take turns.
            key = func.hashtextextended(claim.run_id or claim.evaluates, 0)
            session.execute(select(func.pg_advisory_xact_lock(key)))
        insert_rows(session, LogLine, (storable(asdict(line)) | subject for line in lines))


def log_of_run(
    database: Database,
    run_id: str,
    *,
    tail: int | None = None,
    after: int = 0,
    limit: int | None = None,
) -> list[KeptLine]:
    """The lines of a run and its evaluations, oldest first.

    Args:
        database: where to look.
        run_id: the run.
        tail: only the last so many lines.
        after: only lines that were kept after the line with this number.
        limit: only the first so many lines.

    Raises:
        NotFound: if there is no such run.
    """
    return _lines(database, Run, run_id, tail, after, limit)


def log_of_evaluation(
    database: Database,
    id: str,
    *,
    tail: int | None = None,
    after: int = 0,
    limit: int | None = None,
) -> list[KeptLine]:
    """The lines of one evaluation, oldest first. The parameters are those of `log_of_run`.

    Raises:
        NotFound: if there is no such evaluation.
    """
    return _lines(database, Evaluation, id, tail, after, limit)


def _lines(
    database: Database,
    table: type[Run] | type[Evaluation],
    id: str,
    tail: int | None,
    after: int,
    limit: int | None,
) -> list[KeptLine]:
    of = LogLine.run_id if table is Run else LogLine.evaluation_id
    query = select(LogLine.at, LogLine.level, LogLine.worker, LogLine.message, LogLine.id).where(
        of == id, LogLine.id > after
    )
    with database.read() as session:
        if session.get(table, id) is None:
            raise NotFound("run" if table is Run else "evaluation", id)
        if tail is None:
            rows = session.execute(query.order_by(LogLine.id).limit(limit)).all()
        else:
            rows = session.execute(query.order_by(LogLine.id.desc()).limit(tail)).all()[::-1]
    return [KeptLine(*row) for row in rows]
