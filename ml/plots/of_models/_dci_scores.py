"""A run's DCI scores, by predictor."""

from __future__ import annotations

from collections.abc import Mapping

from ml.metrics.protocol import Score
from ml.plots.protocol import Material, NothingToDraw


def newest_dci(material: Material) -> dict[str, Mapping[str, Score]]:
    """By predictor, the newest last: the newest of each of its numbers, by name.

    Of posterior means; of samples only if no means were scored. Only numbers that were computed,
    and only where there is a matrix of importance, which a single factor has, too.

    Raises:
        NothingToDraw: there are none.
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
