"""An experiment, and what posting one would do."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from api.documents.base import VERBS, Document, moment
from store import queries
from store.states import ExperimentState, RunState


class ExperimentRun(Document):
    """A place of an experiment's sweep."""

    id: str
    """Of the run, which several experiments may share."""
    index: int
    """Its place in the sweep."""
    swept: dict[str, Any]
    """Dotted path to the value it has here."""
    state: RunState
    reused: bool
    """Whether this work existed, or was under way, when it was asked for."""


class Usage(Document):
    """Bytes of files, each counted once; others may hold them too."""

    artifacts: int
    checkpoints: int


class Experiment(Document):
    """A spec that someone posted, and the runs that answer it."""

    id: str
    name: str
    state: ExperimentState
    created_at: datetime
    tags: list[str]
    notes: str
    owner: str
    counts: dict[str, int]
    """Runs by state."""
    eta_seconds: float | None
    """Until the runs that are being trained now are trained; null when that is not known."""
    pinned: bool
    """Whether it is refused to delete it."""
    usage: Usage
    """What the files of its runs take up."""
    spec: dict[str, Any]
    """As posted."""
    runs: list[ExperimentRun] | None = None
    """Absent in lists."""
    links: dict[str, str]


class Plan(Document):
    """What posting a spec would do as things are now; nothing was written."""

    runs: int
    """Places of the sweep."""
    reused: int
    """Those of them whose run is there, in whatever state, or is another place's."""
    parameters: int
    """Weights of the model; of the largest one, where the sweep has several."""
    steps: int
    """To be trained in all, without those that exist already."""
    seconds: float | None
    """Of training on one worker, by what such runs took here a step, with as many side by side as
    then; null before one has been trained."""
    memory_bytes: int
    """What weights, gradients and the optimizer take of the device for the largest run, in float32;
    activations come on top."""
    position: int | None
    """In the queue, of the first training that is new, or else is taken up again; 1 is next. Null
    if there is nothing to train."""
    starts_in_seconds: float | None
    """Until that begins, if nobody posts anything; null where it is not known."""
    warnings: list[str]


def experiment_document(
    found: queries.Experiment,
    runs: list[queries.ExperimentRun] | None,
    eta: float | None,
    usage: queries.Usage,
) -> Experiment:
    """An experiment as it is shown."""
    here = f"/v1/experiments/{found.id}"
    return Experiment(
        id=found.id,
        name=found.name or "",
        state=found.state,
        created_at=moment(found.created_at),
        tags=found.tags,
        notes=found.notes or "",
        owner=found.owner or "local",
        counts={state.value: count for state, count in found.counts.items() if count},
        eta_seconds=eta,
        pinned=found.pinned,
        usage=Usage(artifacts=usage.artifacts, checkpoints=usage.checkpoints),
        spec=found.spec,
        runs=None
        if runs is None
        else [
            ExperimentRun(
                id=run.run_id,
                index=run.position,
                swept=run.swept,
                state=run.state,
                reused=run.reused,
            )
            for run in runs
        ],
        links={
            "self": here,
            "runs": f"/v1/runs?experiment={found.id}",
            "results": f"{here}/results",
            "summary": f"{here}/summary",
            "report": f"{here}/report.html",
            **{verb: f"{here}/{verb}" for verb in VERBS},
        },
    )
