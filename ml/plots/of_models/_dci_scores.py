"""A run's DCI scores, by predictor."""

from __future__ import annotations

from collections.abc import Mapping

from ml.metrics.protocol import Score
from ml.plots.protocol import Material, NothingToDraw


def newest_dci(material: Material) -> dict[str, Mapping[str, Score]]:
    """The newest DCI scores by predictor and by name. The newest predictor is last.

    Only predictors with a matrix of importance are included. A matrix may exist without a value, as
    for a single factor. The scores are those of posterior means; those of samples are used only if
    there are none of means.

    Raises:
        NothingToDraw: the run has no such scores.
    """
    for kind in ("mean", "sample"):
        found: dict[str, dict[str, Score]] = {}
        for one in material.scores:
            if one.metric == "dci" and one.codes == kind and (one.value is not None or one.details):
                predictor = str(one.params["predictor"])
                found[predictor] = {**found.pop(predictor, {}), one.name: one}
        with_matrix = {
            predictor: numbers
            for predictor, numbers in found.items()
            if "importance" in getattr(numbers.get("disentanglement"), "details", {})
        }
        if with_matrix:
            return dict(with_matrix)
    raise NothingToDraw(
        "The run has no dci score; ask for one with POST /v1/runs/{id}/evaluations"
        ' {"metrics": [{"name": "dci", "predictor": "lasso"}, …]}, or with'
        " heddle score RUN --metrics dci:predictor=lasso."
    )
