"""Evaluations of runs and of files of codes, and their scores."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from api.documents.base import Document, Page, moment
from api.documents.runs import Progress, RunError
from ml.codes.file_account import FileAccount
from ml.evaluation.advice import Advice
from ml.metrics.protocol import Score
from store import queries
from store.states import EvaluationState


class UploadedFile(Document):
    """A file of codes that a client sent."""

    name: str
    """The name that its first sender gave it."""
    sha256: str
    bytes: int


class EvaluationDocument(Document):
    """The scoring of a run or of a file of codes by one spec."""

    id: str
    state: EvaluationState
    created_at: datetime
    finished_at: datetime | None
    error: RunError | None
    run: str | None
    """The run that it scores. It is null where `file` is scored."""
    file: UploadedFile | None
    understood: FileAccount | None
    """What the file holds: its rows, codes and factors, the arrays that were left aside, and what
    was assumed. It is null for a run, and for files that were sent before this was recorded."""
    spec: dict[str, Any]
    """The resolved spec, with every default filled in. A run's has the parts `evaluation` and
    `traversal`."""
    progress: Progress
    scores: list[Score] | None = None
    """It is null until the evaluation has succeeded, and in lists."""
    reused: bool | None = None
    """Whether the evaluation existed already, finished or not, when this request asked for it. It
    is null in answers to other requests."""
    links: dict[str, str]


class AdvisedScores(Page[Score]):
    """Scores, and advice that explains odd ones."""

    next_cursor: str | None = None
    advice: list[Advice]


def evaluation_document(
    found: queries.Evaluation,
    scores: list[queries.Score] | None = None,
    *,
    reused: bool | None = None,
) -> EvaluationDocument:
    """The document of an evaluation."""
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
    """The documents of scores. They are what `ml` recorded."""
    return [Score.model_validate(score.document) for score in found]
