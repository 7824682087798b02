"""A run: where it stands, why it waits or failed, and the files it left."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from api.documents.base import VERBS, Document, moment
from api.documents.record import RunRecord
from store import queries
from store.states import RunState


class Progress(Document):
    """Where a run stands."""

    stage: str | None = None
    """preparing, training, encoding, scoring, drawing, or done."""
    step: int = 0
    steps: int | None = None
    images_per_second: float | None = None
    eta_seconds: float | None = None
    """Until the end of this stage."""
    loss: float | None = None
    trouble: str | None = None
    """Why files cannot be kept at the moment; work goes on, or waits until they can."""


class Waiting(Document):
    """Why a run is not being worked on."""

    reason: str
    position: int | None
    """1 is next; null when it is being taken at this moment."""
    starts_in_seconds: float | None
    """If nobody posts anything; null before such work was measured here."""


class RunError(Document):
    """Why a run failed, and what may help."""

    type: str
    message: str
    advice: str | None = None


class Origin(Document):
    """Where a run's training began, when that is not its first step."""

    run: str
    """Whose training had ended there; it may be deleted since."""
    step: int


class Run(Document):
    """One model trained under one resolved spec and one seed."""

    id: str
    state: RunState
    train_id: str
    """Hash of all that decides the weights."""
    dataset: str
    objective: str
    seed: int
    spec: dict[str, Any]
    """Resolved: every default filled in."""
    progress: Progress
    waiting: Waiting | None
    """Null when a worker has it, or nothing is left to do."""
    error: RunError | None
    attempts: int
    """How often a worker has begun or gone on with its training."""
    record: RunRecord | None
    """What its numbers depend on and what they cost; null before the first attempt."""
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    experiments: list[str]
    pinned: bool
    """Whether it stays when the experiments that hold it are deleted."""
    origin: Origin | None
    """The end of another run that it goes on from; null when it began anew."""
    latent_names: dict[str, str]
    """What people call its latents, by number; not all have a name."""
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
    """A run as it is shown; `waiting` tells of its place in the queue."""
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
        # What its last worker met is over for it.
        changed["trouble"] = None
    return progress.model_copy(update=changed)


def artifact_document(found: queries.Artifact) -> Artifact:
    """An artifact as it is shown."""
    return Artifact(
        name=found.name,
        sha256=found.sha256,
        media_type=found.media_type,
        bytes=found.bytes,
        created_at=moment(found.created_at),
        links={"content": f"/v1/artifacts/{found.sha256}"},
    )
