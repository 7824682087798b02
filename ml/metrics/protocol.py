"""The protocol of metrics, and the Score that each of their numbers becomes."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from ml.codes.rows import ConstantFactor, FactorKind, Rows, UnfitFactor, UnusableRows
from ml.codes.uncertainty import Draws, Numbers, affordable, jackknife_errors, null_draws
from ml.components.component import Component

__all__ = [
    "AuditSetting",
    "ConstantFactor",
    "FactorKind",
    "Metric",
    "NullDistribution",
    "Number",
    "Rows",
    "Score",
    "UnfitFactor",
    "UnusableRows",
    "Value",
]


class NullDistribution(BaseModel):
    """What the score is on codes that know nothing of the factors."""

    mean: float
    std: float
    """With replicates - 1 below; 0 for a single one."""
    replicates: int
    limits: tuple[float, float] | None = None
    """Values that 2.3 % of the replicates reach from either end; none of fewer than 43, and of
    scores from before they were kept. `ml.metrics.significance` says what is clear of a null."""


class Score(BaseModel):
    """One number of a metric, with what is needed to cite it."""

    model_config = ConfigDict(allow_inf_nan=False)

    metric: str
    """The component that computed it."""
    name: str
    """Which of the component's numbers it is."""
    value: float | None
    """The score; None when there is none."""
    error: str | None = None
    """Why there is no value."""
    higher_is_better: bool | None
    """None where neither is, as with the KL to the prior: a collapsed model has none."""
    range: tuple[float | None, float | None]
    """Lowest and highest possible value; None where there is no bound."""
    perfect: float | None
    """Its value on a perfect code, if known."""
    null: NullDistribution | None = None
    ci95: tuple[float, float] | None = None
    codes: Literal["mean", "sample"] = "mean"
    """Whether posterior means or posterior samples were scored."""
    params: dict[str, Any]
    definition: str
    """Name and version of the component, as in `mig@1`."""
    rows: int
    """Rows that were scored."""
    train_rows: int | None = None
    """How many of them predictors were fitted on; None where all rows are one sample."""
    factors: list[str] | None = None
    """The factors that were judged; None where the number needs none."""
    seed: int
    seconds: float | None = None
    versions: dict[str, str]
    details: dict[str, Any] = {}
    """Matrices and per-factor values, as lists."""


@dataclass(frozen=True)
class Number:
    """One of the numbers that a metric declares."""

    name: str
    higher_is_better: bool | None = True
    """None where neither is better."""
    range: tuple[float | None, float | None] = (0.0, 1.0)
    perfect: float | None = 1.0
    depends_on: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None
    """What of a run's resolved spec it is a number of besides the data, by name, as the
    reconstruction is one of the likelihood: numbers compare only where it is equal."""


@dataclass(frozen=True)
class Value:
    """What a metric computed for one of its numbers."""

    value: float
    """NaN where there is none."""
    details: dict[str, Any] = field(default_factory=dict)
    missing: str | None = None
    """Why the value is NaN, where that can be said."""


@dataclass(frozen=True)
class AuditSetting:
    """Params with which an audit (`ml.evaluation.audit`) computes a metric."""

    params: Mapping[str, Any] = field(default_factory=dict)
    """Those that tell this setting from the metric's others; the rest have their defaults."""
    cost: Literal["cheap", "fitted", "slow"] = "fitted"
    """In a quick audit a cheap setting has its null and its interval, a fitted one has its value
    alone, and a slow one is left out."""
    if_continuous: Mapping[str, Any] = field(default_factory=dict)
    """Further params where a factor is continuous, as a classifier needs bins."""


class Metric(Component):
    """A judgement of codes against factors."""

    kind: ClassVar[str] = "metric"
    needs: ClassVar[Literal["rows", "posterior"]] = "rows"
    """"rows": codes and factors; "posterior": what only a model's own posterior tells."""
    uses: ClassVar[Literal["all", "split", "test"]] = "all"
    """Which rows it takes: all as one sample; a training and a testing part; the latter alone."""
    needs_factors: ClassVar[bool] = True
    numbers: ClassVar[Sequence[Number]]
    """Every number that it may give."""
    leads: ClassVar[bool] = False
    """Whether it is made of the leads of each factor's best latent over its second, so that a
    factor which two latents know makes it small."""
    audited: ClassVar[Sequence[AuditSetting]] = (AuditSetting(),)
    """The settings in which an audit computes it, in their order there; by default one, of default
    params. An audit has rows alone, and leaves out what needs a posterior."""

    def reported(self) -> Sequence[Number]:
        """The numbers that it gives with these params."""
        return self.numbers

    def fits_training_rows(self) -> bool:
        """Whether the training rows alone are fitted, so that it matters how many they are."""
        return self.uses == "split"

    @abstractmethod
    def compute(self, rows: Rows) -> dict[str, Value]:
        """The value of each number of `reported()`, by name.

        The same rows and `rows.seed` give the same values. Long work calls
        `rows.continue_or_stop()` between its parts and lets pass what that raises.

        Raises `ConstantFactor`, `UnfitFactor`, `UnusableRows`, or another ValueError that says
        what is wrong.
        """

    def seconds(self, rows: Rows) -> float:  # noqa: ARG002
        """About how long `compute` takes on one core, which decides how many permutations the null
        is made of. Told from the rows alone, so that the same rows have the same null everywhere;
        infinite, and so a null of the fewest, unless a metric knows better.
        """
        return math.inf

    def null(self, rows: Rows) -> Draws:
        """Each number on rows whose factors were permuted, over replicates."""
        return null_draws(self.values, rows, affordable(self.seconds(rows)))

    def on_perfect_codes(self, rows: Rows) -> Mapping[str, Value]:  # noqa: ARG002
        """Each number on codes that are the factors themselves (`rows.with_perfect_codes()`).

        Factors that depend on each other, or have more values than a metric tells apart, keep it
        from its best. Nothing by default: for metrics that such codes have the best of.
        """
        return {}

    def untrained_classes(self, rows: Rows) -> Mapping[str, Mapping[str, float]]:  # noqa: ARG002
        """By factor, the classes of test rows that no training row has.

        Nothing by default: for metrics that predict no class of a test row.
        """
        return {}

    def half_widths(self, rows: Rows) -> Numbers:
        """Half the width of each number's 95 % interval; see `ml.codes.uncertainty`."""
        return jackknife_errors(self.values, rows)

    def values(self, rows: Rows) -> Numbers:
        """What `compute` gives, without details."""
        return {name: value.value for name, value in self.compute(rows).items()}
