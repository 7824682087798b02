"""The documents that the service answers with; their schemas are the contract's."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from ml.codes.file_account import FileAccount
from ml.evaluation.advice import Advice
from ml.metrics.protocol import Score
from store import queries
from store.states import AttemptEnd, EvaluationState, ExperimentState, JobKind, RunState

T = TypeVar("T")


class Document(BaseModel):
    """An answer."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class Page(Document, Generic[T]):
    """A page of a list."""

    items: list[T]
    next_cursor: str | None = None
    """Pass as `?cursor=` for the next page; null on the last."""


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


class Attempt(Document):
    """One worker's work on the run, from its claim to its end."""

    kind: JobKind
    evaluation: str | None
    """Null for training."""
    worker: str
    """Host and process."""
    device_model: str | None
    """Null for an evaluation, which is done on the CPU."""
    began_at: datetime
    ended_at: datetime | None
    seconds: float | None
    """Null while it goes on, as is `end`."""
    end: AttemptEnd | None
    """done, failed, cancelled, gave_way (to whoever's turn had come), released (the worker ended,
    or a folder was away), or lost (it fell silent)."""
    cause: dict[str, Any] | None
    """Why, where there is more to say: type and message."""
    together: int | None
    """How many runs were trained side by side, which shared its seconds."""
    from_step: int | None
    """The first step that was heard of, of training."""
    to_step: int | None
    """The last one; the next attempt goes on from its newest checkpoint, which may lie before."""
    energy_joules: float | None
    """Of the whole GPU between these steps; null where its driver (NVML) does not tell."""


class Identities(Document):
    """What tells the run from others."""

    train_id: str
    """Hash of all that decides the weights."""
    cohort_key: str | None
    """Hash of all that runs must share to be trained side by side, which is all but numbers."""
    dataset: dict[str, Any] | None
    """Name, params and version of its data; once trained also the `source`: rendered, or the digest
    of the file that they were read from."""


class RunRecord(Document):
    """What a run's numbers depend on, and what they cost."""

    model_config = ConfigDict(extra="allow")

    versions: dict[str, str] | None
    """Of Heddle, Python and the libraries that compute numbers, at its newest training."""
    commit: str | None
    """Of Heddle's code then, where it ran from a checkout."""
    identities: Identities
    seed: int
    attempts: list[Attempt]
    """Of all workers that trained or evaluated it, oldest first."""
    wall_seconds: float
    """Of the attempts that have ended."""
    device_seconds: float
    """Of those that trained, each shared with what was trained beside it."""
    energy_joules: float | None
    """Likewise; null where it is not known of one of them."""
    history: list[dict[str, Any]] | None = None
    """Once trained: each stretch of training with the step it began at, device, model, threads,
    library versions, width of the cohort and place in it. Equal ones give equal bits."""
    final: dict[str, float] | None = None
    """Once trained: where the curves ended, each the mean of its last twentieth; reconstruction and
    KL are of the rows of its first evaluation."""
    precision: str | None = None
    """Once trained."""
    width: int | None = None
    """Once trained: places of its last cohort."""
    train_id: str | None = None
    """Once trained: of what was trained."""
    worker: str | None = None
    """Once trained: who ended it."""


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


class UploadedFile(Document):
    """A file of codes that somebody sent."""

    name: str
    """As its first sender called it."""
    sha256: str
    bytes: int


class EvaluationDocument(Document):
    """Scores of a run or of a file of codes, as one spec asked for them."""

    id: str
    state: EvaluationState
    created_at: datetime
    finished_at: datetime | None
    error: RunError | None
    run: str | None
    """What it judges: this run, or else the file."""
    file: UploadedFile | None
    understood: FileAccount | None
    """What was found in the file: rows, codes, factors, what was left aside and assumed; null for a
    run, and for files that were sent before this was kept."""
    spec: dict[str, Any]
    """Resolved: every default filled in. A run's has the parts evaluation and traversal."""
    progress: Progress
    scores: list[Score] | None = None
    """Null until it has succeeded, and in lists."""
    reused: bool | None = None
    """Whether it was there, or under way, when this request asked for it; null in other answers."""
    links: dict[str, str]


class AdvisedScores(Page[Score]):
    """Scores, and the plain reasons behind odd ones."""

    next_cursor: str | None = None
    advice: list[Advice]


class Artifact(Document):
    """A file that a run left."""

    name: str
    sha256: str
    media_type: str
    bytes: int
    created_at: datetime
    links: dict[str, str]


EXPERIMENT_VERBS = ("cancel", "resume", "retry", "extend", "fork", "clone", "pin", "unpin")


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
            **{verb: f"{here}/{verb}" for verb in EXPERIMENT_VERBS},
        },
    )


def run_document(
    found: queries.Run, waiting: Waiting | None, record: RunRecord | None = None
) -> Run:
    """A run as it is shown; `waiting` tells of its place in the queue."""
    here = f"/v1/runs/{found.id}"
    names = ("scores", "scalars", "artifacts", "evaluations", "log")
    verbs = ("cancel", "resume", "retry", "extend", "fork", "clone", "pin", "unpin")
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
            **{name: f"{here}/{name}" for name in (*names, *verbs)},
            "traversal": f"{here}/traversal.png",
        },
    )


def evaluation_document(
    found: queries.Evaluation,
    scores: list[queries.Score] | None = None,
    *,
    reused: bool | None = None,
) -> EvaluationDocument:
    """An evaluation as it is shown."""
    here = f"/v1/evaluations/{found.id}"
    names = ("scores", "cancel", "resume", "retry")
    links = {"self": here, **{name: f"{here}/{name}" for name in names}}
    if found.run_id is not None:
        links["run"] = f"/v1/runs/{found.run_id}"
    done = found.state is EvaluationState.SUCCEEDED
    return EvaluationDocument(
        id=found.id,
        state=found.state,
        created_at=moment(found.created_at),
        finished_at=moment(found.finished_at) if found.finished_at else None,
        error=RunError.model_validate(found.error) if found.error else None,
        run=found.run_id,
        file=found.file
        and UploadedFile(name=found.file.name, sha256=found.file.sha256, bytes=found.file.bytes),
        understood=FileAccount.model_validate(found.file.understood)
        if found.file and found.file.understood
        else None,
        spec=found.spec,
        progress=Progress(stage="done") if done else Progress.model_validate(found.progress or {}),
        scores=score_documents(scores) if done and scores is not None else None,
        reused=reused,
        links=links,
    )


def score_documents(found: Sequence[queries.Score]) -> list[Score]:
    """Scores as they are shown, which is as `ml` gave them."""
    return [Score.model_validate(score.document) for score in found]


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


def moment(seconds: float) -> datetime:
    """A moment as it is shown."""
    return datetime.fromtimestamp(seconds, UTC)
