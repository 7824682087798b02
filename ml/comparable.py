"""What two numbers must have in common before one is better than the other.

Leaderboard, study, summary and plots all ask here, so that none of them ranks, averages or
correlates numbers of different things.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from ml.canonical_json import canonical_json
from ml.chosen_data import chosen_data
from ml.likelihood import likelihood_of
from ml.metric import Metric, Number, Score
from ml.registry import components

Basis = Mapping[str, Any]
"""What a number is a number of, by name."""
OF_LIKELIHOOD = ("loss", "reconstruction")
"""Training curves that are sums of -log p(x|z)."""
DATASET = "dataset"


def basis(score: Score, spec: Mapping[str, Any]) -> dict[str, Any]:
    """What a score of a run with this resolved spec is a number of.

    Two scores of one metric and number compare where all of this is equal: params and definition
    of the metric, which codes, how many rows and how many of them were fitted, the factors
    judged, the data set, and what else the number depends on, as the reconstruction does on the
    likelihood. Other draws of as many rows compare, so the evaluation's seed has no part in it.
    """
    common = {
        "codes": score.codes,
        "definition": score.definition,
        "factors": score.factors,
        "rows": score.rows,
        "train_rows": score.train_rows,
        **basis_of_data(spec),
        **depends_on(score, spec),
    }
    params = {key: value for key, value in score.params.items() if key != "name"}
    # A metric may have a param of such a name.
    apart = {f"params.{key}" if key in common else key: value for key, value in params.items()}
    return apart | common


def basis_of_curve(tag: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """What a training curve of a run with this resolved spec is a number of."""
    return basis_of_data(spec) | (likelihood_of(spec) if tag in OF_LIKELIHOOD else {})


def basis_of_data(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Name of the data set, and what of it is not as by default."""
    told = chosen_data(spec["dataset"])
    return {
        DATASET: spec["dataset"]["name"],
        **{f"{DATASET}.{path}": value for path, value in told.items()},
    }


def depends_on(score: Score, spec: Mapping[str, Any]) -> dict[str, Any]:
    """What of a run's spec a score is a number of besides the data."""
    number = _number(score)
    return {} if number is None or number.depends_on is None else dict(number.depends_on(spec))


def alike(told: Basis) -> str:
    """One text for all numbers that compare."""
    return canonical_json(told)


def differing(several: Iterable[Basis]) -> list[str]:
    """The names under which these differ, in the order of the alphabet."""
    found = list(several)
    return [
        name
        for name in sorted({name for told in found for name in told})
        # Not to have it is something else than to have null.
        if len({(name in told, canonical_json(told.get(name))) for told in found}) > 1
    ]


def _number(score: Score) -> Number | None:
    """The number as its metric declares it; None where it is no longer installed."""
    metric = cast("type[Metric] | None", components("metric").get(score.metric))
    declared = metric.numbers if metric else ()
    return next((number for number in declared if number.name == score.name), None)
