"""What came of the jobs: lost, done twice, other bits than undisturbed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from sqlalchemy import func, select

from ml import tensor_file
from ml.encode import encode_rows
from ml.evaluate import score_encoded
from ml.identity import cohort_key
from ml.model import Model
from ml.spec import RunSpec
from ml.train import train_cohort
from store import queries
from store.curves import curves
from store.database import Database
from store.objects import ObjectFolder
from store.states import JobState
from store.tables import Artifact, Job, Run, Score
from tests.ml.recorders import Kept
from tests.worker.workplace import Trained, left_by

Scores = Mapping[str, float | None]


@dataclass(frozen=True)
class Verdict:
    """What became of jobs and runs."""

    done: int
    twice: int
    wrong: int
    """Runs whose weights, curves or scores are not those of an undisturbed run."""
    moved: int
    """Runs that went on at another width, whose bits nobody promised."""


def judge(database: Database, objects: ObjectFolder) -> Verdict:
    """Look at everything that is recorded."""
    with database.read() as session:
        done = session.scalar(select(func.count()).where(Job.state == JobState.DONE)) or 0
        twice = sum(
            len(session.execute(again).all())
            for again in (
                select(Artifact.run_id, Artifact.name)
                .group_by(Artifact.run_id, Artifact.name)
                .having(func.count() > 1),
                select(Score.evaluation_id, Score.position)
                .group_by(Score.evaluation_id, Score.position)
                .having(func.count() > 1),
            )
        )
        run_ids = list(session.scalars(select(Run.id)))
    found = {run_id: _found(database, objects, run_id) for run_id in run_ids}
    by_width: dict[tuple[str | None, int], list[str]] = defaultdict(list)
    moved = 0
    for run_id, run in found.items():
        if run is None:
            continue
        if len(run.widths) > 1:
            moved += 1
        else:
            by_width[cohort_key(run.spec), run.widths[0]].append(run_id)
    wrong = 0
    for (_, width), ids in by_width.items():
        for first in range(0, len(ids), width):
            part = ids[first : first + width]
            specs = [found[run_id].spec for run_id in part]  # type: ignore[union-attr]
            for run_id, (trained, scores) in zip(part, _undisturbed(specs, width), strict=True):
                run = found[run_id]
                assert run is not None
                wrong += not (run.trained.same(trained) and run.scores == scores)
    return Verdict(done=done, twice=twice, wrong=wrong, moved=moved)


@dataclass(frozen=True)
class _Found:
    spec: RunSpec
    widths: list[int]
    trained: Trained
    scores: Scores


def _found(database: Database, objects: ObjectFolder, run_id: str) -> _Found | None:
    """What a run has left; None if it did not come to its end."""
    run = queries.run(database, run_id)
    scores = queries.scores(database, run_id)
    if run.record is None or not scores:
        return None
    sha256 = queries.artifact(database, run_id, "weights.safetensors").sha256
    weights, _ = tensor_file.from_bytes(objects.path(sha256).read_bytes())
    return _Found(
        RunSpec.parse(run.spec),
        sorted({stretch["width"] for stretch in run.record["history"]}),
        Trained(weights, curves(database, objects, run_id)),
        {score.document["name"]: score.document["value"] for score in scores},
    )


def _undisturbed(specs: Sequence[RunSpec], width: int) -> list[tuple[Trained, Scores]]:
    """What runs give at a width that are trained without a service, on one thread as there."""
    torch.set_num_threads(1)
    kept = [Kept() for _ in specs]
    models: dict[int, Any] = dict(train_cohort(specs, kept, width=width))
    return [(left_by(models[index], one), _scores(models[index])) for index, one in enumerate(kept)]


def _scores(model: Model) -> Scores:
    spec = model.spec
    data = spec.dataset.open()
    encoded = encode_rows(model, data, spec.evaluation)
    return {
        score.name: score.value
        for score in score_encoded(encoded, spec.evaluation, data.factor_names)
    }
