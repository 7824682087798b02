"""The BetaVAE score of Higgins et al., Z-diff."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from ml.components.registry import register
from ml.metrics.intervention import _kernels
from ml.metrics.intervention.classification import ClassificationOfFactors
from ml.metrics.intervention.groups import Groups
from ml.metrics.intervention.intervention_metric import once
from ml.metrics.predictors.logistic_regression import fit_logistic_regression
from ml.metrics.protocol import Number, Rows


@register
class BetaVAEScore(ClassificationOfFactors):
    r"""BetaVAE score, or Z-diff: whether a linear classifier sees which factor two rows share."""

    name: Literal["beta_vae_score"] = "beta_vae_score"
    numbers: ClassVar[Sequence[Number]] = (
        Number("beta_vae_score_train"),
        Number("beta_vae_score"),
    )
    shared: ClassVar[str] = "a value of factor {}"
    batch: Annotated[int, Field(ge=1, le=10_000)] = 64
    """Pairs of rows of a point."""

    def seconds(self, rows: Rows) -> float:
        latents = int(rows.codes.shape[1])
        points = self.train_points + self.test_points
        return 0.05 + 1e-8 * len(rows) * latents + points * self.batch * (5e-8 + 1e-9 * latents)

    def accuracies(
        self, rows: Rows, groups: Groups, draws: np.random.Generator
    ) -> tuple[dict[str, float], dict[str, Any]]:
        codes = once(rows, "float64", lambda: np.ascontiguousarray(rows.codes, dtype=np.float64))
        train, of_train = _kernels.differences(codes, *groups, self.batch, self.train_points, draws)
        test, of_test = _kernels.differences(codes, *groups, self.batch, self.test_points, draws)
        model = fit_logistic_regression(train, of_train, 1.0)
        return {
            "beta_vae_score_train": float((model.predict(train) == of_train).mean()),
            "beta_vae_score": float((model.predict(test) == of_test).mean()),
        }, {"coefficients": model.coef_.T.tolist(), "batch": self.batch}
