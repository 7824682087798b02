"""The BetaVAE score of Higgins et al., Z-diff."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from ml.components.registry import register
from ml.metrics.intervention.classification import ClassificationOfFactors
from ml.metrics.intervention.groups import Groups
from ml.metrics.intervention.intervention_metric import once, parts
from ml.metrics.predictors.logistic_regression import fit_logistic_regression
from ml.metrics.protocol import Number, Rows, UnusableRows

LARGEST = 1e30
"""LIBLINEAR refuses larger numbers, and L-BFGS cannot square much larger ones."""

MOST_COEFFICIENTS = 400
"""Most coefficients for Newton's method, whose steps take their square."""
SMALLEST_C, LARGEST_C = 1e-12, 1e12


@register
class BetaVAEScore(ClassificationOfFactors):
    r"""BetaVAE score, or Z-diff: whether a linear classifier sees which factor two rows share.

    A point is a factor k and the mean over `batch` pairs of rows of

    .. math:: |z^{(1)} - z^{(2)}|

    where both rows of a pair have the same value of k. A linear classifier predicts k from such
    points. `beta_vae_score` is its accuracy on test points, `beta_vae_score_train` on those that it
    was fitted on. They are in [0, 1], higher is better, and guessing gives 1 / K for K factors. It
    is 1 for a perfect code.

    It is near 1 for many entangled codes, too, as Kim and Mnih show. A mean over a large batch
    hardly varies, so that a linear classifier tells factors apart as soon as their means differ:
    a random linear mixture of five factors reaches 0.88 with 64 pairs and 0.98 with 200. For the
    same reason there is no limit of large batches to give in its place. Codes are not scaled, and
    the classifier's penalty is on their own scale: codes of tiny deviation score like noise.

    The first row of a pair is any, and the second is another row with its value, so that values of
    a single row are left out. disentanglement_lib draws both from a simulator, which may give one
    image twice; on its grids that is one pair in thousands. The classifier is the minimum that
    scikit-learn's LogisticRegression approximates with its defaults. Before scikit-learn 0.22, and
    so when the protocol's paper appeared, the defaults were others: choose `one_vs_rest` to compare
    with it. Carbonneau et al. take `batch` 200 and `rescaled`.

    Raises:
        ConstantFactor: a factor takes a single value.
        UnfitFactor: a factor is continuous, and `factor_bins` is not set.
        UnusableRows: no two rows have the same value of a factor, or codes differ by 1e30.

    References:
        Higgins et al., 2017, https://openreview.net/forum?id=Sy2fzU9gl; settings as in
        Locatello et al., 2019, https://arxiv.org/abs/1811.12359, and
        Carbonneau et al., 2022, https://arxiv.org/abs/2012.09276; what it misses is in
        Kim and Mnih, 2018, https://arxiv.org/abs/1802.05983
    """

    name: Literal["beta_vae_score"] = "beta_vae_score"
    numbers: ClassVar[Sequence[Number]] = (
        Number("beta_vae_score_train"),
        Number("beta_vae_score"),
    )
    shared: ClassVar[str] = "a value of factor {}"
    batch: Annotated[int, Field(ge=1, le=10_000)] = 64
    """Pairs of rows of a point."""
    classifier: Literal["logistic_regression", "one_vs_rest"] = "logistic_regression"
    """One multinomial model, scikit-learn's default since 0.22, or a model of each factor against
    the others by LIBLINEAR, which also penalises intercepts, the default before."""

    def seconds(self, rows: Rows) -> float:
        latents = int(rows.codes.shape[1])
        points = self.train_points + self.test_points
        # Rows of a population lie beyond what a processor keeps at hand.
        a_row = 2e-7 if rows.population else 8e-8
        return 0.05 + 1e-8 * len(rows) * latents + points * self.batch * (a_row + 2e-9 * latents)

    def accuracies(
        self, rows: Rows, groups: Groups, draws: np.random.Generator
    ) -> tuple[dict[str, float], dict[str, Any]]:
        codes = once(rows, "float64", lambda: np.ascontiguousarray(rows.codes, dtype=np.float64))
        train, of_train = self._points(rows, codes, groups, self.train_points, draws)
        test, of_test = self._points(rows, codes, groups, self.test_points, draws)
        predicted = self._predicted(train, of_train, np.concatenate([train, test]))
        told_train, told_test = predicted[: len(train)], predicted[len(train) :]
        # Entry (k, j): how many test points of factor k are taken for factor j.
        confusion = np.zeros((len(groups.start) - 1,) * 2, np.int64)
        np.add.at(confusion, (of_test, told_test), 1)
        return {
            "beta_vae_score_train": float((told_train == of_train).mean()),
            "beta_vae_score": float((told_test == of_test).mean()),
        }, {"batch": self.batch, "confusion": confusion.tolist()}

    def _points(
        self,
        rows: Rows,
        codes: np.ndarray,
        groups: Groups,
        number: int,
        draws: np.random.Generator,
    ) -> tuple[np.ndarray, np.ndarray]:
        # numba is imported by whoever computes, not by whoever lists the metrics.
        from ml.metrics.intervention import _kernels

        drawn = [
            _kernels.differences(codes, *groups, self.batch, some, draws)
            for some in parts(number, self.batch * codes.shape[1], rows)
        ]
        points, of = (np.concatenate(some) for some in zip(*drawn, strict=True))
        if len(large := np.flatnonzero(points.max(0) > LARGEST)):
            raise UnusableRows(
                f"codes of column {large[0]} differ by more than {LARGEST:g}, which the classifier"
                " cannot take; rescale them"
            )
        return points, of

    def _predicted(self, points: np.ndarray, of: np.ndarray, others: np.ndarray) -> np.ndarray:
        """The factors of `others`, by a classifier of `points`."""
        if of.min() == of.max():
            # So few points that all are of one factor.
            return np.full(len(others), of[0])
        if self.classifier == "one_vs_rest":
            from sklearn.linear_model import LogisticRegression
            from sklearn.multiclass import OneVsRestClassifier

            model = OneVsRestClassifier(LogisticRegression(solver="liblinear")).fit(points, of)
        else:
            # L-BFGS does not converge if codes are wide. A model of points / s with the penalty of
            # s w is the same model, and Newton's method finds it at any scale.
            scale = float(points.max()) or 1.0
            points, others = points / scale, others / scale
            model = fit_logistic_regression(
                points,
                of,
                min(max(scale * scale, SMALLEST_C), LARGEST_C),
                solver="newton-cholesky"
                if points.shape[1] * (int(of.max()) + 1) <= MOST_COEFFICIENTS
                else "lbfgs",
            )
        found: np.ndarray = model.predict(others)
        return found
