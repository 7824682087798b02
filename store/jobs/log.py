"""What workers logged of runs, and of evaluations of files."""

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
    """What was logged at one moment; it may have several lines itself."""

    #: By the worker's clock.
    at: float
    level: str
    worker: str
    message: str


@dataclass(frozen=True, slots=True)
class KeptLine(Line):
    """One that is kept."""

    #: Rises from line to line of a run.
    number: int


def add_lines(database: Database, claim: Claim, lines: Sequence[Line]) -> None:
    """Keep lines that were logged while a job was held.

    No fence is asked for: what a worker saw stays true when it has lost the job.
    """
    subject = {"run_id": claim.run_id, "evaluation_id": claim.evaluation_id}
    with database.write() as session:
        if session.get_bind().dialect.name == "postgresql":
            # Its numbers may commit in another order, and whoever reads on would miss a line.
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
        run_id: whose.
        tail: only so many, the last of them.
        after: only those that were kept after the line with this number.
        limit: at most so many, the first of them.

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
    """The lines of one evaluation, likewise.

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
