"""What came of the jobs: lost, done twice, other bits than undisturbed."""

from __future__ import annotations

import hashlib
import os
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import torch
from sqlalchemy import func, select

from ml.codes.arrays_file import read_arrays
from ml.evaluation.encode import encode_rows
from ml.evaluation.evaluate import score_encoded, score_rows
from ml.networks import tensor_file
from ml.networks.model import Model
from ml.spec.evaluation_spec import FileEvaluation
from ml.spec.identity import cohort_key
from ml.spec.run_spec import RunSpec
from ml.training.loop import train_cohort
from store import queries
from store.database.connection import Database
from store.database.tables import Artifact, Job, Run, Score
from store.files.curves import curves
from store.files.objects import ObjectFolder
from store.states import EvaluationState, JobState
from tests.ml.recorders import Kept
from tests.worker.workplace import Trained, left_by

Scores = Mapping[str, float | None]
Spec = dict[str, Any]


SUCCEEDED = EvaluationState.SUCCEEDED
WORTH_PROCESSES = 8
"""Fewer cohorts are trained here sooner than other processes have started."""


@dataclass(frozen=True)
class Verdict:
    """What became of jobs and runs."""

    done: int
    twice: int
    wrong: int
    """Runs and files whose weights, curves or scores are not those of an undisturbed one."""
    gone: int
    """Artifacts whose bytes are gone or others."""
    moved: int
    """Runs that went on at another width, whose bits nobody promised."""


def judge(database: Database, objects: ObjectFolder) -> Verdict:
    """Look at everything that is recorded."""
    with database.read() as session:
        done = session.scalar(select(func.count()).where(Job.state == JobState.DONE)) or 0
        twice = sum(
            len(session.execute(again).all())
            for again in (
                # Two evaluations of a run that go on at once each draw its pictures.
                select(Artifact.run_id, Artifact.evaluation_id, Artifact.name)
                .group_by(Artifact.run_id, Artifact.evaluation_id, Artifact.name)
                .having(func.count() > 1),
                select(Score.evaluation_id, Score.position)
                .group_by(Score.evaluation_id, Score.position)
                .having(func.count() > 1),
            )
        )
        run_ids = list(session.scalars(select(Run.id)))
    ended = (_found(database, objects, run_id) for run_id in run_ids)
    found = [run for run in ended if run is not None]
    wrong = _wrong_files(database, objects)
    cohorts: dict[tuple[str | None, int], list[_Found]] = defaultdict(list)
    moved = 0
    for run in found:
        if len(run.widths) > 1:
            moved += 1
        else:
            cohorts[cohort_key(run.spec), run.widths[0]].append(run)
    parts = [
        runs[first : first + width]
        for (_, width), runs in cohorts.items()
        for first in range(0, len(runs), width)
    ]
    if len(parts) < WORTH_PROCESSES:
        wrong += sum(map(_wrong_runs, parts))
    else:
        with ProcessPoolExecutor(os.cpu_count(), get_context("forkserver")) as processes:
            wrong += sum(processes.map(_wrong_runs, parts))
    return Verdict(done=done, twice=twice, wrong=wrong, gone=_gone(database, objects), moved=moved)


@dataclass(frozen=True)
class _Found:
    spec: RunSpec
    widths: list[int]
    trained: Trained
    #: What each evaluation asked for, and what came of it.
    evaluations: list[tuple[Spec, Scores]]


def _found(database: Database, objects: ObjectFolder, run_id: str) -> _Found | None:
    """What a run has left; None if it did not come to its end."""
    run = queries.run(database, run_id)
    evaluations = queries.evaluations(database, run_id)
    if run.record is None or any(one.state is not SUCCEEDED for one in evaluations):
        return None
    sha256 = queries.artifact(database, run_id, "weights.safetensors").sha256
    weights, _ = tensor_file.from_bytes(objects.path(sha256).read_bytes())
    return _Found(
        RunSpec.parse(run.spec),
        sorted({stretch["width"] for stretch in run.record["history"]}),
        Trained(weights, curves(database, objects, run_id)),
        [(one.spec, _recorded(database, one.id)) for one in evaluations],
    )


def _recorded(database: Database, evaluation_id: str) -> Scores:
    scores = queries.scores_of_evaluation(database, evaluation_id)
    return {score.document["name"]: score.document["value"] for score in scores}


def _wrong_files(database: Database, objects: ObjectFolder) -> int:
    wrong = 0
    for one in queries.evaluations_of_files(database, limit=1000).items:
        if one.state is not SUCCEEDED or one.file is None:
            continue
        spec = FileEvaluation.parse(one.spec)
        with objects.open(one.file.sha256) as content:
            rows = spec.rows(read_arrays(content, most_bytes=sys.maxsize, **spec.reading()))
        scores = score_rows(rows, spec.metrics, uncertainty=False)
        wrong += {score.name: score.value for score in scores} != _recorded(database, one.id)
    return wrong


def _gone(database: Database, objects: ObjectFolder) -> int:
    with database.read() as session:
        named = set(session.scalars(select(Artifact.sha256)))
    gone = 0
    for sha256 in named:
        path = objects.path(sha256)
        gone += not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != sha256
    return gone


def _wrong_runs(runs: Sequence[_Found]) -> int:
    """How many of the runs, all of one key and width, are not as those that nothing happened to."""
    width = runs[0].widths[0]
    undisturbed = _undisturbed([run.spec for run in runs], width)
    return sum(
        not run.trained.same(trained)
        or any(scores != _scores(model, asked) for asked, scores in run.evaluations)
        for run, (trained, model) in zip(runs, undisturbed, strict=True)
    )


def _undisturbed(specs: Sequence[RunSpec], width: int) -> list[tuple[Trained, Model]]:
    """What runs give at a width that are trained without a service, on one thread as there."""
    torch.set_num_threads(1)
    kept = [Kept() for _ in specs]
    models: dict[int, Any] = dict(train_cohort(specs, kept, width=width))
    return [(left_by(models[index], one), models[index]) for index, one in enumerate(kept)]


def _scores(model: Model, asked: Spec) -> Scores:
    spec = RunSpec.parse({**model.spec.document(), **asked})
    data = spec.dataset.open()
    encoded = encode_rows(model, data, spec.evaluation)
    return {score.name: score.value for score in score_encoded(encoded, spec.evaluation, data)}
