"""A run as a submission describes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class NewRun:
    """One place of an experiment's sweep: what to train, and how to judge it."""

    #: The resolved run spec.
    spec: dict[str, Any]
    #: Hash of what decides the trained model; equal hashes share one run.
    train_id: str
    #: `{evaluation, traversal}`, resolved.
    evaluation: dict[str, Any]
    #: Hash of what decides the scores and pictures of a given model.
    evaluation_key: str
    #: Path in the spec to the value that it has here.
    swept: dict[str, Any]
    dataset: str
    objective: str
    seed: int
    steps: int
    #: Hash of what runs share that can be trained side by side.
    cohort_key: str
    #: Hash of what runs share that take about as long a step.
    pace_key: str
    #: To be looked at in training, each as often as it is.
    images: int
    #: Hash of what runs share that are one course of training, however far each goes; None where
    #: none begins as another does.
    course_id: str | None = None
    #: The `train_id` of the run from whose end this one goes on, where there is one.
    origin_id: str | None = None
