"""What a run's numbers depend on, and what they cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from api.documents.base import Attempt, Identities, RunRecord, moment
from store import queries
from store.states import JobKind


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
