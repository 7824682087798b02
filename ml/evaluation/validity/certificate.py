"""Certificates: what each metric gave in known worlds, and what follows from it.

`certificates.json` is written by `python docs/write_validity.py`, which drives every metric. It
holds values alone. Verdicts follow from them by `ml.evaluation.validity.properties`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter

from ml.components.registry import components
from ml.evaluation.validity.properties import REQUIRED, SEEN, Found, Verdict, judged
from ml.evaluation.validity.worlds import PERFECT
from ml.metrics.protocol import Metric, Number

FILE = Path(__file__).with_name("certificates.json")


class Driven(BaseModel):
    """What one number gave in the worlds."""

    values: dict[str, float]
    """By world."""
    null_mean: float | None = None
    null_std: float | None = None
    spread: float = 0.0
    """How far other seeds moved the value of the same codes."""
    missing: dict[str, str] = {}
    """Why there is no value in a world in which other numbers of the metric may have one."""


class Certificate(BaseModel):
    """What a metric gave in every world with some params."""

    metric: str
    asked: dict[str, Any]
    """The metric's name and the params that were chosen."""
    params: dict[str, Any]
    """All params."""
    definition: str
    """As in `mig@1`. A certificate says nothing of another version."""
    rows: int
    """Rows of a world, unless the world says otherwise."""
    numbers: dict[str, Driven]
    """By name, those that perfect codes have a value of."""
    without_value: dict[str, str]
    """Why perfect codes have no value of the other numbers, by name."""
    errors: dict[str, str]
    """The metric's errors, by world."""

    @property
    def declined(self) -> str | None:
        """Why there are no values, if even perfect codes gave an error."""
        return self.errors.get(PERFECT)

    @property
    def label(self) -> str:
        """The metric as on the command line: `dci:predictor=lasso`."""
        return self.label_with({})

    def label_with(self, more: Mapping[str, Any]) -> str:
        """The metric as on the command line, with further params."""
        params = {name: value for name, value in self.asked.items() if name != "name"}
        return ":".join([self.metric, *(f"{k}={value}" for k, value in {**params, **more}.items())])

    @property
    def if_continuous(self) -> Mapping[str, Any]:
        """The params with which it was driven, besides, where factors are continuous."""
        metric = components("metric")[self.metric]
        assert issubclass(metric, Metric)
        settings = [
            one for one in metric.audited if {"name": self.metric, **one.params} == self.asked
        ]
        return settings[0].if_continuous if settings else {}

    @cached_property
    def verdicts(self) -> dict[str, dict[str, Verdict]]:
        """The verdict on each property, by number and property."""
        metric = components("metric").get(self.metric)
        if metric is None:
            return {}
        assert issubclass(metric, Metric)
        declared: dict[str, Number] = {number.name: number for number in metric.numbers}
        made = metric.model_validate({"name": self.metric, **self.params})
        declared |= {number.name: number for number in made.reported()}
        return {
            name: judged(
                declared[name],
                Found(
                    one.values,
                    one.null_mean,
                    one.null_std,
                    one.spread,
                    {**self.errors, **one.missing},
                ),
                needs_factors=metric.needs_factors,
            )
            for name, one in self.numbers.items()
        }

    def judged(self) -> list[str]:
        """The numbers to which some property applies, as one direction is better."""
        return [
            number
            for number, verdicts in self.verdicts.items()
            if any(verdict.holds is not None for verdict in verdicts.values())
        ]

    def failed(self, number: str) -> dict[str, Verdict]:
        """The properties of a good score that the number fails."""
        return {name: self.verdicts[number][name] for name in self._of(number, REQUIRED, False)}

    def passed(self, number: str) -> list[str]:
        """The properties of a good score that the number has."""
        return self._of(number, REQUIRED, True)

    def sees(self, number: str) -> list[str]:
        """The changes of a perfect code that the number penalises."""
        return self._of(number, SEEN, True)

    def _of(self, number: str, names: Mapping[str, object], holds: bool) -> list[str]:
        return [name for name in names if self.verdicts[number][name].holds is holds]


@cache
def certificates() -> tuple[Certificate, ...]:
    """Every certificate, by metric, those of default params after those that audits choose."""
    if not FILE.exists():
        return ()
    return tuple(TypeAdapter(list[Certificate]).validate_json(FILE.read_bytes()))


def certificate_of(metric: str, params: Mapping[str, Any], definition: str) -> Certificate | None:
    """The certificate of a metric with such params, or None if it was never driven like this.

    Params that no certificate of the metric distinguishes, such as the number of bins, are not
    compared.
    """
    of_metric = [one for one in certificates() if one.definition == definition]
    told: set[str] = {name for one in of_metric for name in one.asked} - {"name"}
    for one in of_metric:
        if one.metric == metric and all(one.params.get(k) == params.get(k) for k in told):
            return one
    return None


def written(found: Sequence[Certificate]) -> str:
    """The text of `certificates.json`."""
    dumped = TypeAdapter(list[Certificate]).dump_json(list(found), indent=1)
    return dumped.decode() + "\n"
