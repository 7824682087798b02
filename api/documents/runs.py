"""Runs: their progress, why they wait or failed, and the files that they left."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from api.documents.base import VERBS, Document, moment
from api.documents.record import RunRecord
from store import queries
from store.states import RunState


class Progress(Document):
    """How far a run or an evaluation has come."""

    stage: str | None = None
    """One of preparing, training, encoding, scoring, drawing and done."""
    step: int = 0
    steps: int | None = None
    images_per_second: float | None = None
    eta_seconds: float | None = None
    """The time until the end of this stage."""
    loss: float | None = None
    trouble: str | None = None
    """Why files cannot be written at the moment. Meanwhile the worker goes on, or waits until they
    can be written."""


class Waiting(Document):
    """Why no worker has the run yet, and when one may."""

    reason: str
    position: int | None
    """The place in the queue. 1 is next. It is null while a worker is taking the run."""
    starts_in_seconds: float | None
    """The time until it starts, if nobody posts other work. It is null until a job like it has been
    measured here."""


class RunError(Document):
    """Why a run failed, and what may help."""

    type: str
    message: str
    advice: str | None = None


class Origin(Document):
    """The run and the step that another run's training went on from."""

    run: str
    """The run whose training ended there. It may have been deleted since."""
    step: int


class Run(Document):
    """One model trained under one resolved spec and one seed."""

    id: str
    state: RunState
    train_id: str
    """The hash of everything that decides the weights."""
    dataset: str
    objective: str
    seed: int
    spec: dict[str, Any]
    """The resolved spec, with every default filled in."""
    progress: Progress
    waiting: Waiting | None
    """It is null when a worker has the run, or when nothing is left to do."""
    error: RunError | None
    attempts: int
    """The number of times that a worker began its training or went on with it."""
    record: RunRecord | None
    """What its numbers depend on, and what they cost. It is null before the first attempt."""
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    experiments: list[str]
    pinned: bool
    """Whether the run is kept when the experiments that hold it are deleted."""
    origin: Origin | None
    """The end of another run that it goes on from. It is null where training began at its first
    step."""
    latent_names: dict[str, str]
    """The names that people gave to its latents, by their numbers. Not every latent has one."""
    links: dict[str, str]


class Artifact(Document):
    """A file that a run left."""

    name: str
    sha256: str
    media_type: str
    bytes: int
    created_at: datetime
    links: dict[str, str]


def run_document(
    found: queries.Run, waiting: Waiting | None, record: RunRecord | None = None
) -> Run:
    """The document of a run. `waiting` holds its place in the queue."""
    here = f"/v1/runs/{found.id}"
    names = ("scores", "scalars", "artifacts", "evaluations", "log")
    return Run(
        id=found.id,
        state=found.state,
        train_id=found.train_id,
        dataset=found.dataset,
        objective=found.objective,
        seed=found.seed,
        spec=found.spec,
        progress=_progress(found),
        waiting=waiting,
        error=RunError.model_validate(found.error) if found.error else None,
        attempts=found.attempts,
        record=record,
        created_at=moment(found.created_at),
        started_at=moment(found.started_at) if found.started_at else None,
        finished_at=moment(found.finished_at) if found.finished_at else None,
        experiments=found.experiments,
        pinned=found.pinned,
        origin=found.origin and Origin.model_validate(found.origin),
        latent_names=found.latent_names,
        links={
            "self": here,
            **{name: f"{here}/{name}" for name in (*names, *VERBS)},
            "traversal": f"{here}/traversal.png",
        },
    )


def _progress(found: queries.Run) -> Progress:
    if found.state is RunState.SUCCEEDED:
        return Progress(stage="done", step=found.steps, steps=found.steps)
    begun = {"step": found.origin["step"]} if found.origin else {}
    progress = Progress.model_validate(found.progress or begun)
    changed: dict[str, Any] = {"steps": progress.steps or found.steps}
    if found.state not in (RunState.TRAINING, RunState.EVALUATING):
        # The trouble that its last worker had no longer concerns the run.
        changed["trouble"] = None
    return progress.model_copy(update=changed)


def artifact_document(found: queries.Artifact) -> Artifact:
    """The document of an artifact."""
    return Artifact(
        name=found.name,
        sha256=found.sha256,
        media_type=found.media_type,
        bytes=found.bytes,
        created_at=moment(found.created_at),
        links={"content": f"/v1/artifacts/{found.sha256}"},
    )
