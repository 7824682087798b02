"""A run as a submission asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class NewRun:
    """One place of an experiment's sweep: what to train, and how to evaluate it."""

    #: The resolved run spec.
    spec: dict[str, Any]
    #: Hash of everything that determines the trained model; places with equal hashes share a run.
    train_id: str
    #: `{evaluation, traversal}`, resolved.
    evaluation: dict[str, Any]
    #: Hash of everything that determines the scores and pictures of a given model.
    evaluation_key: str
    #: The swept paths of the spec, each with its value at this place.
    swept: dict[str, Any]
    dataset: str
    objective: str
    seed: int
    steps: int
    #: Runs with the same key can be trained side by side.
    cohort_key: str
    #: Runs with the same key take about the same time for a step.
    pace_key: str
    #: How many images training looks at, repetitions included.
    images: int
    #: Runs with the same id are one course: they are equal but for their number of steps. None if
    #: no other run begins as this one does.
    course_id: str | None = None
    #: The `train_id` of the run from whose end this one goes on; None if it is no fork.
    origin_id: str | None = None
    #: The uploaded data sets that it and its origins are trained on, as (digest, name).
    uploaded: frozenset[tuple[str, str]] = frozenset()
