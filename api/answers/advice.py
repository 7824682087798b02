"""Scores with advice on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from api.documents.evaluations import AdvisedScores, score_documents
from api.state.context import Context
from ml.codes.latents import latent_label
from ml.components.spec_errors import InvalidSpec
from ml.evaluation.advice import advise, curves_read
from ml.metrics.protocol import Score
from ml.spec.run_spec import RunSpec
from store import queries
from store.errors import DamagedObject, ObjectGone, StorageTrouble
from store.files.curves import curves


def advised_run(here: Context, id: str) -> AdvisedScores:
    """Every score of a run, with advice from its training and its data."""
    return _of_run(here, id, score_documents(queries.scores(here.database, id)))


def advised_evaluation(here: Context, id: str) -> AdvisedScores:
    """The scores of one evaluation with advice, which for a run's uses its training and data."""
    scores = score_documents(queries.scores_of_evaluation(here.database, id))
    run_id = queries.evaluation(here.database, id).run_id
    if run_id is not None:
        return _of_run(here, run_id, scores)
    return AdvisedScores(items=scores, advice=advise(scores))


def _of_run(here: Context, id: str, scores: Sequence[Score]) -> AdvisedScores:
    if not scores:
        return AdvisedScores(items=[], advice=[])
    names = {
        int(latent): name for latent, name in queries.run(here.database, id).latent_names.items()
    }
    scores = [_named(score, names) for score in scores]
    return AdvisedScores(
        items=scores, advice=advise(scores, latent_names=names, **_known(here, id))
    )


def _named(score: Score, names: Mapping[int, str]) -> Score:
    """The score with the current labels of the latents in its details, in the order of the rows."""
    rows = next((score.details[name] for name in PER_LATENT if name in score.details), None)
    if not names or rows is None:
        return score
    latents = [latent_label(latent, names) for latent in range(len(rows))]
    return score.model_copy(update={"details": {**score.details, "latents": latents}})


PER_LATENT = ("kl_per_latent", "mutual_information", "importance", "scores")
"""Details that have one row for each latent."""


def _known(here: Context, id: str) -> dict[str, Any]:
    """The run's spec and curves as arguments of `advise`, as far as they can be read."""
    try:
        spec = RunSpec.parse(queries.spec_of(here.database, id))
    except InvalidSpec:
        # A component of the spec is no longer installed. Advice comes from the scores alone.
        return {}
    try:
        tags = curves_read(spec.model.latent_dim)
        return {"spec": spec, "curves": curves(here.database, here.objects, id, tags)}
    except (DamagedObject, ObjectGone, StorageTrouble):
        # The scores are in the database, and are answered even without the curves.
        return {"spec": spec}
