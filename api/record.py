"""What a run's numbers depend on, and what they cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from api.documents import Document, moment
from store import queries
from store.states import AttemptEnd, JobKind


class AttemptDocument(Document):
    """One worker's work on the run, from its claim to its end."""

    kind: JobKind
    evaluation: str | None
    """Null for training."""
    worker: str
    device_model: str | None
    began_at: datetime
    ended_at: datetime | None
    seconds: float | None
    """Null while it goes on, as is `end`."""
    end: AttemptEnd | None
    """done, failed, cancelled, gave_way (to whoever's turn had come), released (the worker ended,
    or a folder was away), or lost (it fell silent)."""
    cause: dict[str, Any] | None
    """Why, where there is more to say."""
    together: int | None
    """How many runs were trained side by side, which shared its seconds."""
    from_step: int | None
    """The first step that was heard of, of training."""
    to_step: int | None
    energy_joules: float | None
    """Of the whole GPU meanwhile; null where NVML does not tell."""


def attempt_documents(found: Sequence[queries.Attempt]) -> list[AttemptDocument]:
    """Attempts as they are shown."""
    return [_attempt(one) for one in found]


def full_record(run: queries.Run, found: Sequence[queries.Attempt]) -> dict[str, Any] | None:
    """What training noted, with what all workers' attempts add up to; None before the first."""
    if not found and run.record is None:
        return None
    documents = attempt_documents(found)
    training = [one for one in documents if one.kind is JobKind.TRAIN]
    return {
        **(run.record or {}),
        "seed": run.seed,
        "identities": {"train_id": run.train_id},
        "attempts": [one.model_dump(mode="json") for one in documents],
        "wall_seconds": _sum(one.seconds for one in documents) or 0.0,
        "device_seconds": _sum(_share(one, one.seconds) for one in training) or 0.0,
        "energy_joules": _sum(_share(one, one.energy_joules) for one in training),
    }


def _attempt(one: queries.Attempt) -> AttemptDocument:
    measured = one.measured or {}
    return AttemptDocument(
        kind=one.kind,
        evaluation=one.evaluation_id,
        worker=one.worker,
        device_model=one.device_model,
        began_at=moment(one.began_at),
        ended_at=None if one.ended_at is None else moment(one.ended_at),
        seconds=None if one.ended_at is None else round(one.ended_at - one.began_at, 3),
        end=one.end,
        cause=one.cause,
        together=one.together,
        from_step=measured.get("from_step"),
        to_step=measured.get("to_step"),
        energy_joules=measured.get("energy_joules"),
    )


def _share(one: AttemptDocument, value: float | None) -> float | None:
    return None if value is None else value / (one.together or 1)


def _sum(values: Iterable[float | None]) -> float | None:
    """Of those that are known; None where none is."""
    known = [value for value in values if value is not None]
    return round(sum(known), 3) if known else None
