"""The groups of waiting jobs: an owner's jobs of one priority, either the short or the long ones.

Each claim looks at all groups. They are found by a few steps through an index for each group, so
that a claim costs the same however many jobs wait.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, func, literal, select
from sqlalchemy.orm import Session, aliased

from store.database.tables import Job
from store.scheduling.fair_share import Waiting
from store.states import JobKind, JobState

#: The state of a waiting job, written into the text of a statement. From a value beside the text
#: a database would not learn that it may use the index of waiting jobs.
QUEUED: ColumnElement[Any] = bindparam(
    None, JobState.QUEUED, type_=Job.state.type, literal_execute=True
)


def waiting_groups(session: Session, kind: JobKind, *, most: int = 1) -> list[Waiting]:
    """The groups of the waiting jobs of a kind. The jobs of a group are counted up to `most`."""
    rows = session.execute(_groups(most > 1), {"kind": kind, "most": most})
    return [Waiting(*row) for row in rows]


def counted_groups(session: Session, kind: JobKind) -> list[Waiting]:
    """The groups of the waiting jobs of a kind with all their jobs, which are all read for it."""
    rows = session.execute(
        select(Job.owner, Job.priority, Job.short, func.min(Job.created_at), func.count())
        .where(Job.state == JobState.QUEUED, Job.kind == kind)
        .group_by(Job.owner, Job.priority, Job.short)
    )
    return [Waiting(*row) for row in rows]


def groups_beside(session: Session, cohort_key: str) -> set[tuple[str, int, bool]]:
    """The groups (owner, priority, short) that have waiting training jobs of a cohort's key."""
    rows = session.execute(_groups_beside(), {"cohort_key": cohort_key})
    return {(owner, priority, short) for owner, priority, short in rows}


@cache
def _groups(counted: bool) -> Select[str, int, bool, float, int]:
    found = _oldest_of_groups("kind")
    oldest = aliased(Job)
    count: ColumnElement[int] = literal(1)
    if counted:
        job = aliased(Job)
        same = [a == b for a, b in zip(_group(job), _group(oldest), strict=True)]
        some = (
            select(literal(1).label("one"))
            .where(*_waits(job, "kind"), *same)
            .limit(bindparam("most"))
            .correlate(oldest)
            .subquery()
        )
        count = select(func.count()).select_from(some).scalar_subquery()
    return select(oldest.owner, oldest.priority, oldest.short, oldest.created_at, count).join_from(
        found, oldest, oldest.id == found.c.id
    )


@cache
def _groups_beside() -> Select[str, int, bool]:
    found = _oldest_of_groups("cohort_key")
    return select(Job.owner, Job.priority, Job.short).join_from(found, Job, Job.id == found.c.id)


def _oldest_of_groups(column: str) -> Any:
    """The oldest job of each group among the waiting jobs with a value in a column.

    One step goes from a group to the next: from its owner's long jobs to the short ones, else to
    the next owner, else to the next priority. After the last group it finds nothing, and the step
    from there has no row. (A comparison of whole rows would say it in one condition, but SQLite
    uses an index for the first column of such a comparison only.)
    """
    jobs = aliased(Job)
    found = select(_first(jobs, column, 0).label("id")).cte("oldest", recursive=True)
    here = aliased(Job)
    steps = [_first(aliased(Job), column, after, here) for after in (3, 2, 1)]
    step = select(func.coalesce(*steps)).join_from(found, here, here.id == found.c.id)
    return found.union_all(step)


def _first(job: Any, column: str, after: int, here: Any = None) -> Any:
    """The oldest job of the first group.

    With `after`, the first `after - 1` columns of the group are those of `here`, and the next one
    comes after its.
    """
    order = [*_group(job), job.created_at, job.id]
    conditions = _waits(job, column)
    if after:
        own, its = _group(job), _group(here)
        conditions += [a == b for a, b in zip(own[: after - 1], its, strict=False)]
        conditions.append(own[after - 1] > its[after - 1])
        order = order[after - 1 :]
    found = select(job.id).where(*conditions).order_by(*order).limit(1)
    return (found if here is None else found.correlate(here)).scalar_subquery()


def _waits(job: Any, column: str) -> list[ColumnElement[bool]]:
    return [job.state == QUEUED, getattr(job, column) == bindparam(column)]


def _group(job: Any) -> tuple[Any, Any, Any]:
    """What is equal in a group, in the order of the indexes."""
    return job.priority, job.owner, job.short
