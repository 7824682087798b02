"""Majority votes for the code that moves least, or most, in a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from ml.codes.uncertainty import Numbers
from ml.metrics.intervention.classification import ClassificationOfFactors
from ml.metrics.intervention.groups import Groups, unit_deviation
from ml.metrics.intervention.intervention_metric import once, parts
from ml.metrics.protocol import Number, Rows

ALL_PRUNED = "no code has a deviation of at least {}, so there is nothing to vote for"


class MajorityVote(ClassificationOfFactors):
    """A classifier that gives each code the factor whose batches most often vote for it.

    A batch votes for the code whose variance in it, as a share of the variance over all rows, is
    lowest or highest.
    """

    lowest: ClassVar[bool]
    """Whether a batch votes for the code of the lowest variance."""
    batch: Annotated[int, Field(ge=2, le=10_000)] | None = 64
    """Rows of a batch, drawn with replacement from a group. Null takes each whole group in place of
    batches. There are no draws then: each group votes once, with the weight that its factor would
    be drawn with it, and there is a single accuracy."""
    prune_below: Annotated[float, Field(ge=0)] = 0.05
    """Codes of a smaller deviation over all rows take no part, nor do constant codes."""

    @model_validator(mode="after")
    def _no_points_without_batches(self) -> Self:
        fields = type(self).model_fields
        for param in ("train_points", "test_points"):
            if self.batch is None and getattr(self, param) != fields[param].default:
                raise ValueError(f"without a batch there are no points: leave {param} out")
        return self

    def reported(self) -> Sequence[Number]:
        return [
            number
            for number in super().reported()
            if self.batch is not None or not number.name.endswith("_train")
        ]

    def seconds(self, rows: Rows) -> float:
        factors, latents = len(rows.factor_names), int(rows.codes.shape[1])
        of_rows = 2e-3 + 1e-8 * len(rows) * (factors + latents)
        if self.batch is None:
            return of_rows + 4e-9 * len(rows) * latents * factors
        drawn = (self.train_points + self.test_points) * self.batch
        return of_rows + drawn * (5e-8 + 1e-9 * latents)

    def accuracies(
        self, rows: Rows, groups: Groups, draws: np.random.Generator
    ) -> tuple[dict[str, float], dict[str, Any]]:
        # numba is imported by whoever computes, not by whoever lists the metrics.
        from ml.metrics.intervention import _kernels

        codes, deviations = once(rows, "unit deviation", lambda: unit_deviation(rows.codes))
        active = np.flatnonzero((deviations > 0) & (deviations >= self.prune_below))
        details: dict[str, Any] = {"active": active.tolist(), "deviations": deviations.tolist()}
        if not len(active):
            details["reason"] = ALL_PRUNED.format(self.prune_below)
            return {number.name: 0.0 for number in self.reported()}, details
        codes = np.ascontiguousarray(codes[:, active])
        shape = rows.codes.shape[1], len(groups.start) - 1
        if self.batch is None:
            shares = np.zeros(shape)
            shares[active] = _kernels.shares_of_groups(codes, *groups, self.lowest) / shape[1]
            return {self.name: float(shares.max(1).sum())}, details | {"votes": shares.tolist()}
        train, test = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for found, points in ((train, self.train_points), (test, self.test_points)):
            for some in parts(points, self.batch * len(active), rows):
                found[active] += _kernels.votes(
                    codes, *groups, self.batch, some, self.lowest, draws
                )
        chosen = train.argmax(1)
        right = np.take_along_axis(test, chosen[:, None], axis=1).sum()
        details |= {"votes": train.tolist(), "test_votes": test.tolist(), "batch": self.batch}
        return {
            f"{self.name}_train": float(train.max(1).sum() / self.train_points),
            self.name: float(right / self.test_points),
        }, details

    def draw_variances(self, values: Numbers, factors: int) -> Numbers:
        if self.batch is None:
            return dict.fromkeys(values, 0.0)
        return super().draw_variances(values, factors)
