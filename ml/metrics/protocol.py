"""The protocol of metrics, and the Score that is made of each of their numbers."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from ml.codes.groups import CodeGroups
from ml.codes.rows import ConstantFactor, FactorKind, Rows, UnfitFactor, UnusableRows
from ml.codes.uncertainty import Draws, Numbers, affordable, jackknife_errors, null_draws
from ml.components.component import Component
from ml.components.described import Described

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
    """The distribution of the score on codes that know nothing of the factors."""

    mean: float
    std: float
    """Standard deviation with the divisor replicates - 1, or 0 for a single replicate."""
    replicates: int
    limits: tuple[float, float] | None = None
    """Values that 2.3 % of the replicates reach at either end. There are none for fewer than 43
    replicates, nor for scores from before limits were kept. `ml.metrics.significance` defines which
    scores are clear of a null."""


class Score(Described):
    """One number of a metric, with what is needed to cite it."""

    model_config = ConfigDict(allow_inf_nan=False)

    metric: str
    """The component that computed it."""
    name: str
    """The name of this number among the component's numbers."""
    value: float | None
    """The score, or None if there is none."""
    error: str | None = None
    """Why there is no value."""
    higher_is_better: bool | None
    """None if neither direction is better, as for the KL to the prior, which is zero in a collapsed
    model."""
    range: tuple[float | None, float | None]
    """Lowest and highest possible value. None stands for no bound."""
    perfect: float | None
    """The value on a perfect code, if it is known."""
    null: NullDistribution | None = None
    ci95: tuple[float, float] | None = None
    codes: Literal["mean", "sample"] = "mean"
    """Whether posterior means or posterior samples were scored."""
    images: Literal["chosen", "left_out", "all"] = "chosen"
    """Which images of the data set were scored: those that its params choose for training, those
    that they leave out, or all. The rows of a file are always "chosen"."""
    params: dict[str, Any]
    definition: str
    """Name and version of the component, as in `mig@1`."""
    rows: int
    """Number of rows that were scored."""
    population: bool = False
    """Whether the rows are every combination of the factors' values, once each, so that the score
    has no sampling error."""
    rows_to_halve: int | None = None
    """The number of rows at which the interval would have half its width, training and test rows in
    proportion. It is None if no number of rows would do, and in scores from before it was kept."""
    rows_to_halve_missing: str | None = None
    """Why no number of rows would halve the interval."""
    train_rows: int | None = None
    """How many of them predictors were fitted on, or None if all rows are one sample."""
    factors: list[str] | None = None
    """The factors that were judged, or None if the number needs none."""
    groups: CodeGroups | None = None
    """The groups of codes that counted as one latent each, or None if each code did."""
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
    """None if neither direction is better."""
    range: tuple[float | None, float | None] = (0.0, 1.0)
    perfect: float | None = 1.0
    depends_on: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None
    """Gives, by name, the parts of a run's resolved spec that the number depends on besides the
    data, as the reconstruction depends on the likelihood. Numbers can be compared only if these
    parts are equal."""


@dataclass(frozen=True)
class Value:
    """What a metric computed for one of its numbers."""

    value: float
    """NaN if there is no value."""
    details: dict[str, Any] = field(default_factory=dict)
    missing: str | None = None
    """Why the value is NaN, if the reason is known."""


@dataclass(frozen=True)
class AuditSetting:
    """Params with which an audit (`ml.evaluation.audit`) computes a metric."""

    params: Mapping[str, Any] = field(default_factory=dict)
    """The params that distinguish this setting from the metric's others. The rest have their
    defaults."""
    cost: Literal["cheap", "fitted", "slow"] = "fitted"
    """In a quick audit a cheap setting has its null and its interval, a fitted one has its value
    alone, and a slow one is left out."""
    if_continuous: Mapping[str, Any] = field(default_factory=dict)
    """Further params if a factor is continuous, as a classifier needs bins."""


class Metric(Component):
    """A judgement of codes against factors."""

    kind: ClassVar[str] = "metric"
    needs: ClassVar[Literal["rows", "posterior"]] = "rows"
    """"rows" stands for codes and factors, "posterior" for data that only a model's own posterior
    gives."""
    uses: ClassVar[Literal["all", "split", "test"]] = "all"
    """The rows it takes: all as one sample, training and test rows, or test rows alone."""
    needs_factors: ClassVar[bool] = True
    numbers: ClassVar[Sequence[Number]]
    """Every number that the metric may give."""
    leads: ClassVar[bool] = False
    """Whether the metric is made of the leads of each factor's best latent over its second, or over
    all others. It is then small if two latents know one factor."""
    sums_groups: ClassVar[bool] = False
    """Whether the metric is made of an importance of each code, which it adds up over groups of
    codes (`Rows.summed_over_groups`)."""
    takes_populations: ClassVar[bool] = False
    """Whether the metric can be computed on every image of a data set, hundreds of thousands of
    rows, with its null, in seconds. Other metrics score a sample in their place."""
    audited: ClassVar[Sequence[AuditSetting]] = (AuditSetting(),)
    """The settings in which an audit computes the metric, in the audit's order. By default there is
    one setting, with default params. An audit of rows without posteriors leaves out metrics that
    need them. It has no images, so a metric that needs reconstructions has no setting."""

    def reported(self) -> Sequence[Number]:
        """The numbers that the metric gives with these params."""
        return self.numbers

    def fits_training_rows(self) -> bool:
        """Whether only the training rows are fitted, so that their number matters."""
        return self.uses == "split"

    def scores_populations(self, codes: Literal["mean", "sample"]) -> bool:
        """Whether the metric scores every image if an evaluation's `rows` are `all`.

        Posterior samples are never a population, as they are draws themselves.
        """
        of_posterior = self.needs == "posterior"
        return self.takes_populations and self.uses == "all" and (codes == "mean" or of_posterior)

    @abstractmethod
    def compute(self, rows: Rows) -> dict[str, Value]:
        """The value of each number of `reported()`, by name.

        The same rows and `rows.seed` give the same values. Long work calls
        `rows.continue_or_stop()` between its parts and does not catch what that raises.

        Raises `ConstantFactor`, `UnfitFactor`, `UnusableRows`, or another ValueError that says
        what is wrong.
        """

    def seconds(self, rows: Rows) -> float:  # noqa: ARG002
        """About how long `compute` takes on one core.

        This decides how many permutations the null has. It depends on the rows alone, so that the
        same rows have the same null everywhere. By default it is infinite, which gives a null of
        the fewest permutations.
        """
        return math.inf

    def null(self, rows: Rows) -> Draws:
        """The replicates of each number on rows whose factors were permuted."""
        return null_draws(self.values, rows, affordable(self.seconds(rows)))

    def on_perfect_codes(self, rows: Rows) -> Mapping[str, Value]:  # noqa: ARG002
        """Each number on codes that are the factors themselves (`rows.with_perfect_codes()`).

        A metric may not reach its best value if factors depend on each other, or have more values
        than it distinguishes. The default, an empty mapping, is for metrics on which such codes
        reach the best value.
        """
        return {}

    def untrained_classes(self, rows: Rows) -> Mapping[str, Mapping[str, float]]:  # noqa: ARG002
        """Numbers, by factor, about the classes of test rows that no training row has.

        The default, an empty mapping, is for metrics that predict no class of a test row.
        """
        return {}

    def half_widths(self, rows: Rows) -> Numbers:
        """Half the width of each number's 95 % interval (see `ml.codes.uncertainty`)."""
        return jackknife_errors(self.values, rows)

    def half_widths_of_draws(self, rows: Rows) -> Numbers:  # noqa: ARG002
        """Half the width of each number's 95 % interval on a population.

        A population has no sampling error. What is left is the error of the metric's own draws, as
        of the batches of an interventional metric, or of a fixed number of rows that are fitted. By
        default there is none.
        """
        return {number.name: 0.0 for number in self.reported()}

    def lasting_half_widths(self, rows: Rows) -> Numbers:
        """The part of `half_widths` that more rows do not lessen, or hardly.

        By default it is the error of the metric's own draws.
        """
        return self.half_widths_of_draws(rows)

    def values(self, rows: Rows) -> Numbers:
        """The values of `compute`, without details."""
        return {name: value.value for name, value in self.compute(rows).items()}
