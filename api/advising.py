"""Advice on scores that are asked for."""

from __future__ import annotations

from collections.abc import Sequence

from api.context import Context
from api.documents import AdvisedScores, score_documents
from ml.advice import LATENT, RECONSTRUCTION, advise
from ml.spec import RunSpec
from ml.spec_errors import InvalidSpec
from store import queries
from store.curves import curves
from store.errors import DamagedObject, ObjectGone, StorageTrouble


def advised_run(here: Context, id: str) -> AdvisedScores:
    """Every score of a run, with what its training and its data explain of them."""
    scores = score_documents(queries.scores(here.database, id))
    if not scores:
        return AdvisedScores(items=[], advice=[])
    try:
        spec = RunSpec.parse(queries.spec_of(here.database, id))
    except InvalidSpec:
        # A component of it is no longer installed; its scores speak for themselves.
        return AdvisedScores(items=scores, advice=advise(scores))
    tags = [RECONSTRUCTION, *(f"{LATENT}{latent}" for latent in range(spec.model.latent_dim))]
    try:
        found = curves(here.database, here.objects, id, tags)
    except (DamagedObject, ObjectGone, StorageTrouble):
        # Scores are in the database, and are not withheld for want of a reason.
        return AdvisedScores(items=scores, advice=advise(scores, dataset=spec.dataset))
    return AdvisedScores(items=scores, advice=advise(scores, curves=found, dataset=spec.dataset))


def advised(found: Sequence[queries.Score]) -> AdvisedScores:
    """Scores of one evaluation, with what they explain of themselves."""
    scores = score_documents(found)
    return AdvisedScores(items=scores, advice=advise(scores))
