"""Experiments, and the plan of a dry run."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from api.documents.base import VERBS, Document, moment
from store import queries
from store.states import ExperimentState, RunState


class ExperimentRun(Document):
    """A place of an experiment's sweep, and the run in it."""

    id: str
    """The run's id. Several experiments may share the run."""
    index: int
    """The place in the sweep, from 0."""
    swept: dict[str, Any]
    """The swept values here, by their dotted paths."""
    state: RunState
    reused: bool
    """Whether the run existed already, finished or not, when the experiment was posted."""


class Usage(Document):
    """Bytes of files. Each file counts once, also where another experiment holds it too."""

    artifacts: int
    checkpoints: int


class Experiment(Document):
    """A spec that somebody posted, and the runs that answer it."""

    id: str
    name: str
    state: ExperimentState
    created_at: datetime
    tags: list[str]
    notes: str
    owner: str
    counts: dict[str, int]
    """The number of runs in each state."""
    eta_seconds: float | None
    """The time until all runs in training are trained. It is null when that is not known."""
    pinned: bool
    """Whether a request to delete it is refused."""
    usage: Usage
    """The bytes of its runs' files."""
    spec: dict[str, Any]
    """The spec as it was posted."""
    runs: list[ExperimentRun] | None = None
    """It is null in lists."""
    links: dict[str, str]


class Plan(Document):
    """What posting a spec would do now. Nothing was written."""

    runs: int
    """The number of places in the sweep."""
    reused: int
    """The number of places whose run exists already, in whatever state, or is the run of another
    place too."""
    parameters: int
    """The number of weights of the model. Where the sweep has several models, it is that of the
    largest."""
    steps: int
    """The steps to train in all runs together. Steps that are trained already do not count."""
    seconds: float | None
    """The estimated training time on one worker. It comes from the time that runs like these took
    here for a step, with as many side by side as then. It is null until there was such a run."""
    memory_bytes: int
    """The device memory that the largest run's weights, gradients and optimizer state take in
    float32. Activations need more."""
    position: int | None
    """The queue position of the first new training. Where no training is new, it is that of the
    first one that is resumed. 1 is next. It is null if there is nothing to train."""
    starts_in_seconds: float | None
    """The time until that training begins, if nobody posts other work. It is null where it is not
    known."""
    warnings: list[str]


def experiment_document(
    found: queries.Experiment,
    runs: list[queries.ExperimentRun] | None,
    eta: float | None,
    usage: queries.Usage,
) -> Experiment:
    """The document of an experiment. Its `runs` are null in lists."""
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
