"""What classifiers of the factor that was held fixed have in common."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from jaxtyping import Int
from pydantic import Field, model_validator

from ml.codes.uncertainty import Draws, Numbers
from ml.metrics.intervention.groups import Groups, factor_labels, group
from ml.metrics.intervention.intervention_metric import InterventionMetric
from ml.metrics.predictors.classes import AUDITED_BINS
from ml.metrics.protocol import AuditSetting, Number, Rows, Value

ONE_FACTOR = "it tells factors apart and needs at least two, got one"


class ClassificationOfFactors(InterventionMetric):
    """The accuracy with which batches of rows tell which factor is held fixed in them.

    Each point is a factor, drawn uniformly, and a batch. A classifier is fitted on `train_points`
    of them and tested on `test_points` others. `NAME_train` and `NAME` are its accuracies. Both are
    drawn from all rows, as in the field's code: the classifier has D x K parameters or fewer, and
    what its accuracy varies by is the rows and the draws.
    """

    audited: ClassVar[Sequence[AuditSetting]] = (AuditSetting({}, "fitted", AUDITED_BINS),)
    shared: ClassVar[str]
    """What the rows of a group share. {} stands for the factor."""
    train_points: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    """Number of batches that the classifier is fitted on."""
    test_points: Annotated[int, Field(ge=1, le=1_000_000)] = 5_000
    """Number of batches that it is tested on."""
    rescaled: bool = False
    """Give (a - 1/K) / (1 - 1/K) in place of the accuracy a, for K factors, so that guessing
    scores 0 (Carbonneau et al.)."""
    factor_bins: Annotated[int, Field(ge=2, le=1000)] | None = None
    """Number of bins of equal width that every factor is cut into. Null keeps the values of
    discrete factors."""
    scaled: bool = False
    """Scale factors to [0, 1] before they are cut, as Carbonneau et al. do. Only values that lie on
    an edge up to rounding can change their bin."""

    @model_validator(mode="after")
    def _factors_are_cut_if_scaled(self) -> Self:
        if self.scaled and self.factor_bins is None:
            raise ValueError("scaled changes only how factors are cut: set factor_bins, too")
        return self

    def reported(self) -> Sequence[Number]:
        if not self.rescaled:
            return self.numbers
        return [replace(number, range=(-1.0, 1.0)) for number in self.numbers]

    def labels(self, rows: Rows) -> Int[np.ndarray, "factors samples"]:
        return factor_labels(rows, self.factor_bins, scaled=self.scaled)

    @abstractmethod
    def accuracies(
        self, rows: Rows, groups: Groups, draws: np.random.Generator
    ) -> tuple[dict[str, float], dict[str, Any]]:
        """The accuracy that each number is made of, and details."""

    def judged(
        self,
        rows: Rows,
        labels: Int[np.ndarray, "factors samples"],
        draws: np.random.Generator,
    ) -> dict[str, Value]:
        return self._of_groups(rows, group(labels, rows.factor_names, self.shared), draws)

    def null(self, rows: Rows) -> Draws:
        groups = group(self.labels(rows), rows.factor_names, self.shared)
        # Other rows take the places of the groups' rows, which spares grouping them again.
        return self.permuted(
            rows,
            lambda of, index, draws: self._of_groups(
                of, groups._replace(order=index.take(groups.order)), draws
            ),
        )

    def _of_groups(
        self, rows: Rows, groups: Groups, draws: np.random.Generator
    ) -> dict[str, Value]:
        details: dict[str, Any] = {"factors": list(rows.factor_names)}
        factors = len(groups.start) - 1
        if factors == 1:
            return {number.name: Value(math.nan, details, ONE_FACTOR) for number in self.reported()}
        found, more = self.accuracies(rows, groups, draws)
        details |= more
        chance = 1 / factors
        return {
            name: Value((one - chance) / (1 - chance) if self.rescaled else one, details)
            for name, one in found.items()
        }

    def draw_variances(self, values: Numbers, factors: int) -> Numbers:
        """Those of binomial shares. That of the classifier is small beside them.

        A share of 0 or 1 of n draws would have none, so a share is (k + 1) / (n + 2).
        """
        share = 1 - 1 / factors if self.rescaled else 1.0
        found = {}
        for name, value in values.items():
            points = self.train_points if name.endswith("_train") else self.test_points
            accuracy = ((1 - (1 - value) * share) * points + 1) / (points + 2)
            found[name] = max(0.0, accuracy * (1 - accuracy)) / points * share**-2
        return found

    def on_perfect_codes(self, rows: Rows) -> Mapping[str, Value]:
        if self.factor_bins is None:
            return {}
        return self.compute(rows.with_perfect_codes())
