"""What two numbers must have in common before one is better than the other.

Leaderboard, study, summary and plots all use this module, so that none of them ranks, averages or
correlates numbers that do not compare.
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
from ml.studies.chosen_data import chosen_data, data_name

Basis = Mapping[str, Any]
"""Everything that a number depends on, by name. Two numbers compare if theirs are equal."""
OF_LIKELIHOOD = ("loss", "reconstruction")
"""Training curves that are sums of -log p(x|z)."""
DATASET = "dataset"


class Comparing:
    """Says what the numbers of a run with this resolved spec depend on."""

    def __init__(self, spec: Mapping[str, Any]) -> None:
        self._spec = spec
        self.data: Basis = _of_data(canonical_json(spec["dataset"]))
        """Name of the data set, and its params that differ from their defaults."""
        self.as_text = alike(self.data)
        """The same as text: equal for equal data."""

    def told(self, score: Score) -> str:
        """All that `score` takes from the spec, as text."""
        return self.as_text + alike(depends_on(score, self._spec))

    def score(self, score: Score) -> dict[str, Any]:
        """What a score depends on.

        Two scores of one metric and number compare where all of this is equal: the metric's params
        and definition, which codes were scored, the number of rows and of those for fitting,
        whether they are the whole population, the factors, the data set, and what else the number
        depends on (a reconstruction depends on the likelihood). The evaluation's seed is left out:
        different draws of as many rows compare.
        """
        common = {
            "codes": score.codes,
            "definition": score.definition,
            "factors": score.factors,
            "rows": score.rows,
            "train_rows": score.train_rows,
            **({} if score.groups is None else {"groups": score.groups.model_dump(mode="json")}),
            # A sample may have as many rows as a small population.
            **({"population": True} if score.population else {}),
            **self.data,
            **depends_on(score, self._spec),
        }
        # A metric's param may have the same name as one of these.
        params = {
            f"params.{key}" if key in common else key: value
            for key, value in score.params.items()
            if key != "name"
        }
        return params | common

    def curve(self, tag: str) -> dict[str, Any]:
        """What the numbers of a training curve depend on."""
        of_likelihood = likelihood_of(self._spec) if tag in OF_LIKELIHOOD else {}
        return {**self.data, **of_likelihood}


@lru_cache(maxsize=1_000)
def _of_data(dataset: str) -> Basis:
    document = json.loads(dataset)
    chosen = chosen_data(document).items()
    params = {f"{DATASET}.{path}": value for path, value in chosen}
    # A name may have meant other data before. What is stored has one digest.
    stored = document.get("stored")
    content = {} if stored is None else {f"{DATASET}.stored": stored}
    return {DATASET: data_name(document), **params, **content}


def depends_on(score: Score, spec: Mapping[str, Any]) -> dict[str, Any]:
    """What a score depends on besides the data: parts of its run's spec, and which images."""
    number = _number(score.metric, score.name)
    images = {} if score.images == "chosen" else {"evaluation.images": score.images}
    of_spec = {} if number is None or number.depends_on is None else number.depends_on(spec)
    return {**of_spec, **images}


def alike(basis: Basis) -> str:
    """The basis as text, whatever the order of its names: equal for numbers that compare."""
    # This takes a tenth of the time that JSON would. Only a dict needs JSON, as repr would keep
    # the order of its names.
    return repr(
        [
            (name, canonical_json(value) if isinstance(value, dict) else value)
            for name, value in sorted(basis.items())
        ]
    )


def differing(several: Iterable[Basis]) -> list[str]:
    """The names whose values differ between these, in alphabetical order."""
    found = list(several)
    return [
        name
        for name in sorted({name for basis in found for name in basis})
        # A missing name differs from a null.
        if len({(name in basis, canonical_json(basis.get(name))) for basis in found}) > 1
    ]


@lru_cache(maxsize=1_000)
def _number(metric: str, name: str) -> Number | None:
    """The number as its metric declares it; None if the metric is no longer installed."""
    known = cast("type[Metric] | None", components("metric").get(metric))
    declared = known.numbers if known else ()
    return next((number for number in declared if number.name == name), None)
