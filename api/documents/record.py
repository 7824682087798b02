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
    """It is null for training."""
    worker: str
    """The worker's host and process."""
    device_model: str | None
    """It is null for an evaluation, which runs on the CPU."""
    began_at: datetime
    ended_at: datetime | None
    seconds: float | None
    """It is null while the attempt goes on. So is `end`."""
    end: AttemptEnd | None
    """done, failed, cancelled, gave_way (another owner's turn had come), released (the worker
    ended, or a folder was away), or lost (the worker fell silent)."""
    cause: dict[str, Any] | None
    """The type and message of the reason for the end, where there is one."""
    together: int | None
    """The number of runs that were trained side by side. They share the attempt's seconds."""
    from_step: int | None
    """The first training step that the worker reported."""
    to_step: int | None
    """The last training step that the worker reported. The next attempt goes on from the newest
    checkpoint, which may be at an earlier step."""
    energy_joules: float | None
    """The energy that the whole GPU used between these steps. It is null where the GPU's driver
    (NVML) does not report it."""


class Identities(Document):
    """The hashes and the data set by which the run differs from others."""

    train_id: str
    """The hash of everything that decides the weights."""
    cohort_key: str | None
    """The hash of everything that runs must share to be trained side by side, which is everything
    but numbers."""
    dataset: dict[str, Any] | None
    """The data set's name, params and version. Once the run is trained, it also has the `source`:
    rendered, or the digest of the file that was read."""


class RunRecord(Document):
    """What a run's numbers depend on, and what they cost."""

    model_config = ConfigDict(extra="allow")

    versions: dict[str, str] | None
    """The versions of Heddle, Python and the numerical libraries at the newest training."""
    commit: str | None
    """The commit of Heddle's code at that training, where it ran from a checkout."""
    identities: Identities
    seed: int
    attempts: list[Attempt]
    """The attempts of all workers that trained or evaluated the run, oldest first."""
    wall_seconds: float
    """The duration of all ended attempts together."""
    device_seconds: float
    """The duration of all ended training attempts together. Each attempt's is divided by the number
    of runs that were trained side by side."""
    energy_joules: float | None
    """The energy of all training attempts together, each divided in the same way. It is null where
    that of one attempt is not known."""
    history: list[dict[str, Any]] | None = None
    """Once trained: each stretch of training with its first step, device, device model, threads,
    library versions, the width of its cohort and the place in it. Equal histories give equal
    bits."""
    final: dict[str, float] | None = None
    """Once trained: the ends of the curves, each the mean of the curve's last twentieth.
    Reconstruction and KL are computed on the rows of the first evaluation."""
    precision: str | None = None
    """Once trained: the precision of its training."""
    precisions: dict[str, Any] | None = None
    """Once trained: images a second of the device in float32 and in bfloat16, as its worker
    measured them for `precision: auto`, and the seconds that took."""
    width: int | None = None
    """Once trained: the number of places in its last cohort."""
    train_id: str | None = None
    """Once trained: the `train_id` of what was trained."""
    worker: str | None = None
    """Once trained: the worker that finished the training."""


def full_record(run: queries.Run, found: Sequence[queries.Attempt]) -> RunRecord | None:
    """The record of a run's training, with the totals of all attempts. None before the first."""
    if not found and run.record is None:
        return None
    noted = dict(run.record or {})
    attempts = [_attempt(one) for one in found]
    training = [one for one in attempts if one.kind is JobKind.TRAIN]
    # An attempt without a step has used no energy that counts.
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
