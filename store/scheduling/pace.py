"""How long jobs take, measured on jobs of the same kind."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, bindparam, func, select
from sqlalchemy.orm import Session

from store.database.rows import parts
from store.database.tables import Attempt, Job
from store.states import AttemptEnd, JobKind, JobState

MEASURED_BY = 10
"""A pace is the median over at most so many of the newest jobs."""

SHORT_IMAGES = 64_000
"""A job is short if none like it was measured and it trains on no more images than this, which are
1,000 batches."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long jobs of one kind (`Job.pace_key`) took a worker."""

    #: A step's time with `together` jobs side by side; 0 for evaluations.
    step_seconds: float
    #: The time outside of steps: opening data, encoding, recording. For an evaluation it is all.
    other_seconds: float
    #: How many jobs were done side by side.
    together: int = 1

    def seconds(self, steps: int) -> float:
        """The time from the claim of a job to its end."""
        return self.other_seconds + steps * self.step_seconds


def _measured() -> Select[Any]:
    number = (
        func.row_number()
        .over(partition_by=Job.pace_key, order_by=Attempt.ended_at.desc())
        .label("number")
    )
    attempts = (
        select(
            Job.pace_key,
            Attempt.kind,
            (Attempt.ended_at - Attempt.began_at).label("seconds"),
            Attempt.together,
            Attempt.measured,
            number,
        )
        .join(Job, Job.id == Attempt.job_id)
        .where(
            Job.pace_key.in_(bindparam("keys", expanding=True)),
            # Only a job that is done has such an attempt. Many more of a kind may wait.
            Job.state == JobState.DONE,
            Attempt.end == AttemptEnd.DONE,
        )
        .subquery()
    )
    return select(attempts).where(attempts.c.number <= MEASURED_BY)


# Made once: making it takes longer than sending it, and each submission sends it.
_MEASURED = _measured()


def paces(session: Session, keys: Iterable[str | None]) -> dict[str, Pace]:
    """The paces of these keys; a key that was never measured is left out."""
    found: dict[str, list[Row[Any]]] = defaultdict(list)
    for part in parts(key for key in keys if key is not None):
        for row in session.connection().execute(_MEASURED, {"keys": part}):
            found[row.pace_key].append(row)
    return {key: pace for key, rows in found.items() if (pace := _pace(rows)) is not None}


def _pace(rows: Iterable[Row[Any]]) -> Pace | None:
    steps: list[float] = []
    others: list[float] = []
    together: list[int] = []
    for row in rows:
        if row.kind is JobKind.TRAIN:
            measured = row.measured or {}
            made = (measured.get("to_step") or 0) - (measured.get("from_step") or 0)
            if made <= 0 or not measured.get("step_seconds"):
                continue
            steps.append(measured["step_seconds"] / made)
            others.append(max(0.0, row.seconds - measured["step_seconds"]))
        else:
            others.append(row.seconds)
        together.append(row.together or 1)
    if not others:
        return None
    return Pace(
        statistics.median(steps) if steps else 0.0,
        statistics.median(others),
        statistics.median_low(together),
    )


def is_short(pace: Pace | None, steps: int, images: int, short_seconds: float) -> bool:
    """Whether a job is short: by its pace or, if it has none, by the number of its images."""
    if pace is None:
        return images <= SHORT_IMAGES
    return pace.seconds(steps) <= short_seconds
