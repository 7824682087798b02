"""What two numbers must have in common before one is better than the other.

Leaderboard, study, summary and plots all ask here, so that none of them ranks, averages or
correlates numbers of different things.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, cast

from ml.components.registry import components
from ml.metrics.protocol import Metric, Number, Score
from ml.objectives.likelihood import likelihood_of
from ml.reproducibility.canonical_json import canonical_json
from ml.studies.chosen_data import chosen_data

Basis = Mapping[str, Any]
"""What a number is a number of, by name."""
OF_LIKELIHOOD = ("loss", "reconstruction")
"""Training curves that are sums of -log p(x|z)."""
DATASET = "dataset"


class Comparing:
    """Tells what the numbers of a run with this resolved spec are numbers of."""

    def __init__(self, spec: Mapping[str, Any]) -> None:
        self._spec = spec
        self.data: Basis = _of_data(canonical_json(spec["dataset"]))
        """Name of the data set, and what of it is not as by default."""

    def score(self, score: Score) -> dict[str, Any]:
        """What a score is a number of.

        Two scores of one metric and number compare where all of this is equal: params and
        definition of the metric, which codes, how many rows and how many of them were fitted, the
        factors judged, the data set, and what else the number depends on, as the reconstruction
        does on the likelihood. Other draws of as many rows compare, so the evaluation's seed has no
        part in it.
        """
        common = {
            "codes": score.codes,
            "definition": score.definition,
            "factors": score.factors,
            "rows": score.rows,
            "train_rows": score.train_rows,
            **self.data,
            **depends_on(score, self._spec),
        }
        # A metric may have a param of such a name.
        params = {
            f"params.{key}" if key in common else key: value
            for key, value in score.params.items()
            if key != "name"
        }
        return params | common

    def curve(self, tag: str) -> dict[str, Any]:
        """What a training curve is a number of."""
        of_likelihood = likelihood_of(self._spec) if tag in OF_LIKELIHOOD else {}
        return {**self.data, **of_likelihood}


@lru_cache(maxsize=1_000)
def _of_data(dataset: str) -> Basis:
    document = json.loads(dataset)
    chosen = chosen_data(document).items()
    return {DATASET: document["name"], **{f"{DATASET}.{path}": value for path, value in chosen}}


def depends_on(score: Score, spec: Mapping[str, Any]) -> dict[str, Any]:
    """What of a run's spec a score is a number of besides the data."""
    number = _number(score.metric, score.name)
    return {} if number is None or number.depends_on is None else dict(number.depends_on(spec))


def alike(told: Basis) -> str:
    """One text for all numbers that compare, in whatever order what they are of is told."""
    # A tenth of what JSON takes; the order of names within a param is all that repr would keep.
    return repr(
        [
            (name, canonical_json(value) if isinstance(value, dict) else value)
            for name, value in sorted(told.items())
        ]
    )


def differing(several: Iterable[Basis]) -> list[str]:
    """The names under which these differ, in the order of the alphabet."""
    found = list(several)
    return [
        name
        for name in sorted({name for told in found for name in told})
        # Not to have it is something else than to have null.
        if len({(name in told, canonical_json(told.get(name))) for told in found}) > 1
    ]


@lru_cache(maxsize=1_000)
def _number(metric: str, name: str) -> Number | None:
    """The number as its metric declares it; None where it is no longer installed."""
    known = cast("type[Metric] | None", components("metric").get(metric))
    declared = known.numbers if known else ()
    return next((number for number in declared if number.name == name), None)
