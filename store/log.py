"""What workers logged of runs, and of evaluations of files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import insert, select

from store.claim import Claim
from store.database import Database
from store.errors import NotFound
from store.tables import Evaluation, LogLine, Run


@dataclass(frozen=True, slots=True)
class Line:
    """What was logged at one moment; it may have several lines itself."""

    #: By the worker's clock.
    at: float
    level: str
    worker: str
    message: str


def add_lines(database: Database, claim: Claim, lines: Sequence[Line]) -> None:
    """Keep lines that were logged while a job was held.

    No fence is asked for: what a worker saw stays true when it has lost the job.
    """
    subject = {"run_id": claim.run_id, "evaluation_id": claim.evaluation_id}
    with database.write() as session:
        session.execute(insert(LogLine), [asdict(line) | subject for line in lines])


def log_of_run(database: Database, run_id: str, *, tail: int | None = None) -> list[Line]:
    """The lines of a run and its evaluations, oldest first; the last `tail` of them.

    Raises:
        NotFound: if there is no such run.
    """
    return _lines(database, Run, run_id, tail)


def log_of_evaluation(database: Database, id: str, *, tail: int | None = None) -> list[Line]:
    """The lines of one evaluation, likewise.

    Raises:
        NotFound: if there is no such evaluation.
    """
    return _lines(database, Evaluation, id, tail)


def _lines(
    database: Database, table: type[Run] | type[Evaluation], id: str, tail: int | None
) -> list[Line]:
    of = LogLine.run_id if table is Run else LogLine.evaluation_id
    query = (
        select(LogLine.at, LogLine.level, LogLine.worker, LogLine.message)
        .where(of == id)
        .order_by(LogLine.id.desc())
        .limit(tail)
    )
    with database.read() as session:
        if session.get(table, id) is None:
            raise NotFound("run" if table is Run else "evaluation", id)
        return [Line(*row) for row in session.execute(query)][::-1]
