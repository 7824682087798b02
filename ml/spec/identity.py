"""Which work is the same work: hashes of canonical JSON."""

from __future__ import annotations

import hashlib
from typing import Any

from ml.reproducibility.canonical_json import canonical_json
from ml.spec.run_spec import RunSpec

FORMAT = 2
"""Changes when draws, initial weights or the training loop change their numbers."""

SCORING = 2
"""Changes when an evaluation's rows, what of them is scored, or how nulls and intervals are made
changes, and no metric does."""

NOT_IDENTITY = {"checkpoint_minutes", "snapshots"}
"""Fields of `training` that change no weight."""

STRUCTURE = ("steps", "batch_size", "sampling", "precision", "likelihood", "pixel_deviation")
"""Fields of `training` that the runs of a cohort share."""


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON, in hexadecimal."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def train_id(spec: RunSpec) -> str:
    """The identity of a run's weights: data, model, objective, training, seed, and versions.

    Where the run goes on from another's end, that one's identity is part of its own.
    """
    return digest(_of_weights(spec))


def course_id(spec: RunSpec) -> str | None:
    """The identity of training however long it is: the longer run begins with the shorter one.

    None where a schedule is stretched over all steps, so that none begins as another.
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
    """What runs must have in common to be trained side by side.

    They may differ in numbers: seed, coefficients and their schedules, learning rate and the
    optimizer's other numbers, its schedule, gradient clipping. All take the same number of steps,
    so that none waits for others to end.
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
    """What runs share that take about as long a step; they may differ in how many they take."""
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
    """The identity of an evaluation and its pictures, within the run that it judges."""
    evaluation = spec.evaluation.model_dump(mode="json")
    evaluation["metrics"] = [metric.identity() for metric in spec.evaluation.metrics]
    return digest(
        {
            "format": FORMAT,
            "scoring": SCORING,
            "evaluation": evaluation,
            "traversal": spec.traversal.model_dump(mode="json"),
        }
    )
