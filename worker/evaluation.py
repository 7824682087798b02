"""Evaluating on the CPU: a run by its weights and codes, or a file of codes."""

from __future__ import annotations

import dataclasses
import logging
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from ml.codes.arrays_file import read_arrays
from ml.datasets.dataset import Dataset
from ml.evaluation.encode import (
    EncodedRows,
    check_same_data,
    encode_rows,
    evaluation_rows,
    open_data,
)
from ml.evaluation.evaluate import score_encoded, score_rows
from ml.evaluation.population import GridCodes, encode_grid
from ml.networks.model import Model
from ml.plots.pictures import draw_pictures
from ml.spec.evaluation_spec import FileEvaluation
from ml.spec.parts import Evaluation
from ml.spec.run_spec import RunSpec
from store.errors import DamagedObject, NotFound, ObjectGone
from store.files.artifact_names import CODES, GRID_CODES, TRAVERSAL, WEIGHTS, picture
from store.files.curves import Curves, curves
from store.files.objects import open_recorded
from store.jobs.claim import Claim
from store.jobs.finish import finish_evaluation
from store.queries import File, artifact, evaluation, evaluations, run
from store.states import JobKind
from worker.lease.files import NPZ, PNG, NewFile, read
from worker.lease.lease import Lease
from worker.lease.outcome import recorded
from worker.process.settings import worker_settings
from worker.process.storage import claim_if_able
from worker.process.stores import Stores, stores

logger = logging.getLogger(__name__)


def evaluate_next() -> bool:
    """Make the evaluation whose turn it is; False when none waits."""
    here = stores()
    claims = claim_if_able(here, JobKind.EVALUATE)
    for taken in claims:
        subject = taken.run_id or taken.evaluation_id
        torch.set_num_threads(worker_settings().evaluate_threads)
        with recorded(here, taken):
            logger.info("evaluation of %s, attempt %d, begins", subject, taken.attempts)
            _evaluate(here, taken)
    return bool(claims)


def _evaluate(here: Stores, claim: Claim) -> None:
    asked = evaluation(here.database, claim.evaluates)
    if asked.file is not None:
        _evaluate_file(here, claim, asked.file, asked.spec)
    elif asked.run_id is not None:
        _evaluate_run(here, claim, asked.run_id, asked.spec)


def _evaluate_file(here: Stores, claim: Claim, file: File, asked: Mapping[str, Any]) -> None:
    with Lease(here, claim) as lease:
        spec = FileEvaluation.parse(asked)
        with open_recorded(here.database, here.objects, file.sha256) as content:
            # The service accepted the upload, so its size is within bounds.
            arrays = read_arrays(content, most_bytes=sys.maxsize, **spec.reading())
        scores = score_rows(
            spec.rows(arrays), spec.metrics, uncertainty=spec.uncertainty, recorder=lease
        )
        documents = [score.model_dump(mode="json") for score in scores]
        lease.conclude(lambda _: finish_evaluation(here.database, claim, scores=documents))


def _evaluate_run(here: Stores, claim: Claim, run_id: str, asked: Mapping[str, Any]) -> None:
    with Lease(here, claim) as lease:
        trained = Model.from_bytes(read(here, run_id, WEIGHTS))
        spec = RunSpec.parse({**trained.spec.document(), **asked})
        model = dataclasses.replace(trained, spec=spec)
        images = spec.evaluation.images
        data = open_data(spec, lease)
        check_same_data(data, run(here.database, run_id).record)
        if spec.evaluation.rows == "all":
            data.check_population()
        files: list[NewFile] = []
        # A run keeps the codes and pictures of its first evaluation, unless others are asked for.
        kept = _kept_codes(here, run_id)
        if kept is None:
            first = Evaluation.model_validate(
                evaluations(here.database, run_id)[0].spec["evaluation"]
            )
            of_first = data if first.images == images else open_data(spec, lease, first.images)
            kept = encode_rows(model, of_first, first, lease)
            files.append(NewFile(CODES, NPZ, kept.to_npz()))
        if _has_rows(kept, spec, data):
            encoded = kept
        else:
            encoded = encode_rows(model, data, spec.evaluation, lease)
        grid = None
        if spec.evaluation.scores_population():
            grid = _grid_codes(here, claim, lease, model, data)
        scores = score_encoded(encoded, spec.evaluation, data, lease, grid=grid)
        if not _is_drawn(here, run_id, asked):
            drawn = _finite(curves(here.database, here.objects, run_id))
            for name, png in draw_pictures(model, data, encoded, drawn, lease).items():
                files.append(NewFile(picture(name), PNG, png))
        documents = [score.model_dump(mode="json") for score in scores]
        lease.conclude(
            lambda kept: finish_evaluation(here.database, claim, scores=documents, artifacts=kept),
            files,
        )


def _grid_codes(here: Stores, claim: Claim, lease: Lease, model: Model, data: Dataset) -> GridCodes:
    """The codes of every image, which are kept for later evaluations if they have to be made."""
    run_id, images = str(claim.run_id), model.spec.evaluation.images
    try:
        kept = GridCodes.from_npz(read(here, run_id, GRID_CODES))
        if kept.are_of(data, images):
            return kept
    except NotFound:
        pass  # Nobody has needed them before, or they were dropped.
    except (ObjectGone, DamagedObject) as lost:
        logger.warning("the codes of all images of %s are made anew: %s", run_id, lost)
    made = encode_grid(model, data, images, lease)
    # They are recorded at once, so that nobody encodes again if the scoring is interrupted.
    lease.keep(NewFile(GRID_CODES, NPZ, made.to_npz()))
    return made


def _kept_codes(here: Stores, run_id: str) -> EncodedRows | None:
    """The codes that training or an earlier evaluation left; None if they are lost."""
    try:
        return EncodedRows.from_npz(read(here, run_id, CODES))
    except (NotFound, ObjectGone, DamagedObject) as lost:
        logger.warning("the codes of %s are made anew: %s", run_id, lost)
        return None


def _is_drawn(here: Stores, run_id: str, asked: Mapping[str, Any]) -> bool:
    """Whether the run already has its pictures as this evaluation asks for them."""
    try:
        drawn_by = artifact(here.database, run_id, TRAVERSAL).evaluation_id
    except NotFound:
        return False
    return drawn_by is not None and (
        evaluation(here.database, drawn_by).spec["traversal"] == asked["traversal"]
    )


def _has_rows(encoded: EncodedRows, spec: RunSpec, data: Dataset) -> bool:
    """Whether these are the codes of exactly the rows that an evaluation asks for."""
    if encoded.images != spec.evaluation.images:
        return False
    index, train = evaluation_rows(data, spec.evaluation)
    return np.array_equal(encoded.index, index) and int(encoded.train_rows) == train


def _finite(found: Curves) -> Mapping[str, list[tuple[int, float]]]:
    return {
        tag: [(step, value) for step, value in points if value is not None]
        for tag, points in found.items()
    }
