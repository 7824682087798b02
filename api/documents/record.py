"""What a run's numbers depend on, and what they cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from pydantic import ConfigDict

from api.documents.base import Document, moment
from store import queries
from store.states import AttemptEnd, JobKind


class Attempt(Document):
    """One worker's work on the run, from its claim to its end."""

    kind: JobKind
    evaluation: str | None
    """Null for training."""
    worker: str
    """Host and process."""
    device_model: str | None
    """Null for an evaluation, which is done on the CPU."""
    began_at: datetime
    ended_at: datetime | None
    seconds: float | None
    """Null while it goes on, as is `end`."""
    end: AttemptEnd | None
    """done, failed, cancelled, gave_way (to whoever's turn had come), released (the worker ended,
    or a folder was away), or lost (it fell silent)."""
    cause: dict[str, Any] | None
    """Why, where there is more to say: type and message."""
    together: int | None
    """How many runs were trained side by side, which shared its seconds."""
    from_step: int | None
    """The first step that was heard of, of training."""
    to_step: int | None
    """The last one; the next attempt goes on from its newest checkpoint, which may lie before."""
    energy_joules: float | None
    """Of the whole GPU between these steps; null where its driver (NVML) does not tell."""


class Identities(Document):
    """What tells the run from others."""

    train_id: str
    """Hash of all that decides the weights."""
    cohort_key: str | None
    """Hash of all that runs must share to be trained side by side, which is all but numbers."""
    dataset: dict[str, Any] | None
    """Name, params and version of its data; once trained also the `source`: rendered, or the digest
    of the file that they were read from."""


class RunRecord(Document):
    """What a run's numbers depend on, and what they cost."""

    model_config = ConfigDict(extra="allow")

    versions: dict[str, str] | None
    """Of Heddle, Python and the libraries that compute numbers, at its newest training."""
    commit: str | None
    """Of Heddle's code then, where it ran from a checkout."""
    identities: Identities
    seed: int
    attempts: list[Attempt]
    """Of all workers that trained or evaluated it, oldest first."""
    wall_seconds: float
    """Of the attempts that have ended."""
    device_seconds: float
    """Of those that trained, each shared with what was trained beside it."""
    energy_joules: float | None
    """Likewise; null where it is not known of one of them."""
    history: list[dict[str, Any]] | None = None
    """Once trained: each stretch of training with the step it began at, device, model, threads,
    library versions, width of the cohort and place in it. Equal ones give equal bits."""
    final: dict[str, float] | None = None
    """Once trained: where the curves ended, each the mean of its last twentieth; reconstruction and
    KL are of the rows of its first evaluation."""
    precision: str | None = None
    """Once trained."""
    width: int | None = None
    """Once trained: places of its last cohort."""
    train_id: str | None = None
    """Once trained: of what was trained."""
    worker: str | None = None
    """Once trained: who ended it."""


def full_record(run: queries.Run, found: Sequence[queries.Attempt]) -> RunRecord | None:
    """What training noted, with what all workers' attempts add up to; None before the first."""
    if not found and run.record is None:
        return None
    noted = dict(run.record or {})
    attempts = [_attempt(one) for one in found]
    training = [one for one in attempts if one.kind is JobKind.TRAIN]
    # One that made no step has used nothing that counts.
    stepped = [one for one in training if one.to_step is not None]
    known = all(one.energy_joules is not None for one in stepped)
    energy = _sum(_share(one, one.energy_joules) for one in stepped) if stepped and known else None
    ours = {
        "versions": noted.get("versions"),
        "commit": noted.get("commit"),
        "identities": Identities(
            train_id=run.train_id, cohort_key=run.cohort_key, dataset=noted.pop("dataset", None)
        ),
        "seed": run.seed,
        "attempts": attempts,
        "wall_seconds": _sum(one.seconds for one in attempts),
        "device_seconds": _sum(_share(one, one.seconds) for one in training),
        "energy_joules": energy,
    }
    return RunRecord.model_validate(noted | ours)


def _attempt(one: queries.Attempt) -> Attempt:
    measured = one.measured or {}
    return Attempt(
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


def _share(one: Attempt, value: float | None) -> float:
    return (value or 0.0) / (one.together or 1)


def _sum(values: Iterable[float | None]) -> float:
    return round(sum(value or 0.0 for value in values), 3)
