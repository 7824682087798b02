"""Identities: hashes of canonical JSON that are equal for the same work."""

from __future__ import annotations

import hashlib
from typing import Any

from ml.reproducibility.canonical_json import canonical_json
from ml.spec.run_spec import RunSpec

FORMAT = 2
"""Changes when draws, initial weights or the training loop give other numbers than before."""

SCORING = 2
"""Changes when something changes that no metric's own version covers: an evaluation's rows, which
of them are scored, or how nulls and intervals are made."""

NOT_IDENTITY = {"checkpoint_minutes", "snapshots"}
"""Fields of `training` that change no weight."""

STRUCTURE = ("steps", "batch_size", "sampling", "precision", "likelihood", "pixel_deviation")
"""Fields of `training` that the runs of a cohort share."""


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON, in hexadecimal."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def train_id(spec: RunSpec) -> str:
    """The identity of a run's weights: data, model, objective, training, seed, and versions.

    If the run goes on from another's end, its identity includes the other's.
    """
    return digest(_of_weights(spec))


def course_id(spec: RunSpec) -> str | None:
    """The identity of a course: of runs that differ only in their number of steps.

    A longer run of a course begins with the shorter one. The identity is None if a schedule is
    stretched over all steps, because runs of different lengths then differ from their first steps.
    """
    training = spec.training
    if any(one.stretched for one in (training.schedule, *training.coefficients.values())):
        return None
    identity = _of_weights(spec)
    return digest({**identity, "training": {**identity["training"], "steps": None}})


def _of_weights(spec: RunSpec) -> dict[str, Any]:
    training = {
        key: value
        for key, value in spec.training.model_dump(mode="json").items()
        if key not in NOT_IDENTITY
    }
    training["optimizer"] = spec.training.optimizer.identity()
    training["schedule"] = spec.training.schedule.identity()
    training["coefficients"] = {
        name: schedule.identity() for name, schedule in spec.training.coefficients.items()
    }
    origin = spec.origin_spec()
    return {
        "format": FORMAT,
        "dataset": spec.dataset.identity(),
        "model": spec.model.identity(),
        "objective": spec.objective.identity(),
        "training": training,
        "seed": spec.seed,
        **({} if origin is None else {"origin": train_id(origin)}),
    }


def cohort_key(spec: RunSpec) -> str:
    """The identity of all that runs must have in common to be trained side by side.

    They may differ in numbers: seed, coefficients and their schedules, learning rate and the
    optimizer's other numbers, its schedule, gradient clipping. All have the same number of steps,
    so that no run waits for others to end.
    """
    training = spec.training
    return digest(
        {
            "format": FORMAT,
            "dataset": spec.dataset.identity(),
            "model": spec.model.identity(),
            "objective": spec.objective.structure(),
            "optimizer": training.optimizer.structure(),
            "training": {name: getattr(training, name) for name in STRUCTURE},
        }
    )


def pace_key(spec: RunSpec) -> str:
    """The identity of runs whose steps take about the same time, whatever their number of steps."""
    training = {name: getattr(spec.training, name) for name in STRUCTURE if name != "steps"}
    return digest(
        {
            "dataset": spec.dataset.identity(),
            "model": spec.model.identity(),
            "objective": spec.objective.structure(),
            "optimizer": spec.training.optimizer.structure(),
            "training": training,
        }
    )


def evaluation_key(spec: RunSpec) -> str:
    """The identity of an evaluation and its pictures among the evaluations of a run."""
    evaluation = spec.evaluation.model_dump(mode="json")
    evaluation["metrics"] = [metric.identity() for metric in spec.evaluation.metrics]
    if evaluation["images"] == "chosen":
        # Evaluations from before there was a choice keep their key.
        del evaluation["images"]
    return digest(
        {
            "format": FORMAT,
            "scoring": SCORING,
            "evaluation": evaluation,
            "traversal": spec.traversal.model_dump(mode="json"),
        }
    )
