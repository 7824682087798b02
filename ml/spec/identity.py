"""Identities: hashes of canonical JSON that are equal for the same work."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from ml.reproducibility.canonical_json import canonical_json

if TYPE_CHECKING:
    from ml.components.component import Component
    from ml.datasets.protocol import DatasetComponent
    from ml.models.protocol import Architecture
    from ml.objectives.protocol import Objective
    from ml.spec.parts import Evaluation, Traversal
    from ml.spec.run_spec import RunSpec
    from ml.spec.training import Training

T = TypeVar("T")

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
    return Identities().train_id(spec)


def course_id(spec: RunSpec) -> str | None:
    """The identity of a course: of runs that differ only in their number of steps.

    A longer run of a course begins with the shorter one. The identity is None if a schedule is
    stretched over all steps, because runs of different lengths then differ from their first steps.
    """
    return Identities().course_id(spec)


def cohort_key(spec: RunSpec) -> str:
    """The identity of all that runs must have in common to be trained side by side.

    They may differ in numbers: seed, coefficients and their schedules, learning rate and the
    optimizer's other numbers, its schedule, gradient clipping. All have the same number of steps,
    so that no run waits for others to end.
    """
    return Identities().cohort_key(spec)


def pace_key(spec: RunSpec) -> str:
    """The identity of runs whose steps take about the same time, whatever their number of steps."""
    return Identities().pace_key(spec)


def evaluation_key(spec: RunSpec) -> str:
    """The identity of an evaluation and its pictures among the evaluations of a run."""
    return Identities().evaluation_key(spec)


class Identities:
    """The identities of several runs, as of a sweep. What runs share is worked out once.

    The runs of a sweep share the parts of their specs that it leaves alone, as the same objects.
    """

    def __init__(self) -> None:
        # The parts are kept with what was found for them: no other object may get their ids.
        self._found: dict[tuple[Any, ...], tuple[tuple[Any, ...], Any]] = {}

    def _once(self, make: Callable[..., T], *parts: Any) -> T:
        """What `make` gives for these parts, or gave for the same objects."""
        key = (make, *map(id, parts))
        if key not in self._found:
            self._found[key] = parts, make(*parts)
        found: T = self._found[key][1]
        return found

    def train_id(self, spec: RunSpec) -> str:
        """As the function."""
        return _digest_of(self._of_weights(spec))

    def course_id(self, spec: RunSpec) -> str | None:
        """As the function."""
        if self._once(_stretched, spec.training):
            return None
        training = self._once(_training_without_steps, spec.training)
        return _digest_of({**self._of_weights(spec), "training": training})

    def cohort_key(self, spec: RunSpec) -> str:
        """As the function."""
        return self._once(_cohort_key, spec.dataset, spec.model, spec.objective, spec.training)

    def pace_key(self, spec: RunSpec) -> str:
        """As the function."""
        return self._once(_pace_key, spec.dataset, spec.model, spec.objective, spec.training)

    def evaluation_key(self, spec: RunSpec) -> str:
        """As the function."""
        return self._once(_evaluation_key, spec.evaluation, spec.traversal)

    def _of_weights(self, spec: RunSpec) -> dict[str, str]:
        """All that decides a run's weights, each as canonical JSON."""
        origin = spec.origin_spec()
        return {
            "format": canonical_json(FORMAT),
            "dataset": self._once(_identity, spec.dataset),
            "model": self._once(_identity, spec.model),
            "objective": self._once(_identity, spec.objective),
            "training": self._once(_training, spec.training),
            "seed": canonical_json(spec.seed),
            **({} if origin is None else {"origin": canonical_json(self.train_id(origin))}),
        }


def _digest_of(parts: Mapping[str, str]) -> str:
    """The digest of an object whose values are given as canonical JSON."""
    text = ",".join(f"{canonical_json(name)}:{value}" for name, value in sorted(parts.items()))
    return hashlib.sha256(f"{{{text}}}".encode()).hexdigest()


def _identity(component: Component) -> str:
    return canonical_json(component.identity())


def _training(training: Training, **others: None) -> str:
    found = {
        key: value
        for key, value in training.model_dump(mode="json").items()
        if key not in NOT_IDENTITY
    }
    found["optimizer"] = training.optimizer.identity()
    found["schedule"] = training.schedule.identity()
    found["coefficients"] = {
        name: schedule.identity() for name, schedule in training.coefficients.items()
    }
    return canonical_json({**found, **others})


def _training_without_steps(training: Training) -> str:
    return _training(training, steps=None)


def _stretched(training: Training) -> bool:
    return any(one.stretched for one in (training.schedule, *training.coefficients.values()))


def _cohort_key(
    dataset: DatasetComponent, model: Architecture, objective: Objective, training: Training
) -> str:
    return digest(
        {
            "format": FORMAT,
            "dataset": dataset.identity(),
            "model": model.identity(),
            "objective": objective.structure(),
            "optimizer": training.optimizer.structure(),
            "training": {name: getattr(training, name) for name in STRUCTURE},
        }
    )


def _pace_key(
    dataset: DatasetComponent, model: Architecture, objective: Objective, training: Training
) -> str:
    return digest(
        {
            "dataset": dataset.identity(),
            "model": model.identity(),
            "objective": objective.structure(),
            "optimizer": training.optimizer.structure(),
            "training": {name: getattr(training, name) for name in STRUCTURE if name != "steps"},
        }
    )


def _evaluation_key(evaluation: Evaluation, traversal: Traversal) -> str:
    document = evaluation.model_dump(mode="json")
    document["metrics"] = [metric.identity() for metric in evaluation.metrics]
    if document["images"] == "chosen":
        # Evaluations from before there was a choice keep their key.
        del document["images"]
    return digest(
        {
            "format": FORMAT,
            "scoring": SCORING,
            "evaluation": document,
            "traversal": traversal.model_dump(mode="json"),
        }
    )
