"""Kernel ridge regression of several targets on the same codes, with one decomposition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Weights of the penalty that leave-one-out errors choose among."""
CELLS = 8_000_000
"""Most cells of a kernel matrix between new rows and known ones that is held at once."""

Predict = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class KernelRidge:
    """The kernel exp(-gamma |x - y|^2) of known rows, decomposed. Targets may be any."""

    known: Float[np.ndarray, "rows latents"]
    gamma: float
    eigenvalues: Float[np.ndarray, "rows"]
    eigenvectors: Float[np.ndarray, "rows rows"]

    def fit(self, targets: Float[np.ndarray, "rows targets"]) -> Predict:
        """A function from other rows to their targets.

        The penalty of each target is the one that predicts left-out rows best. The residual of a
        row that is left out is c_i / (K + a I)^-1_ii, where c are the coefficients and a is the
        penalty. Of equally good penalties the largest is taken.
        """
        offset = targets.mean(0)
        turned = self.eigenvectors.T @ (targets - offset)
        coefficients = np.empty_like(targets)
        least = np.full(targets.shape[1], np.inf)
        squares = self.eigenvectors**2
        for penalty in sorted(PENALTIES, reverse=True):
            inverse = 1 / (self.eigenvalues + penalty)
            found = self.eigenvectors @ (inverse[:, None] * turned)
            errors = ((found / (squares @ inverse)[:, None]) ** 2).mean(0)
            better = errors < least
            coefficients[:, better] = found[:, better]
            least = np.minimum(errors, least)

        def predict(codes: np.ndarray) -> np.ndarray:
            at_once = max(1, CELLS // len(self.known))
            parts = [
                np.exp(-self.gamma * squared_distances(codes[begin : begin + at_once], self.known))
                @ coefficients
                for begin in range(0, len(codes), at_once)
            ]
            predicted: np.ndarray = np.concatenate(parts) + offset
            return predicted

        return predict


def kernel_ridge(known: Float[np.ndarray, "rows latents"], gamma: float | None) -> KernelRidge:
    """The kernel of these rows.

    Without `gamma` it is 1 / the median of the squared distances between different rows, which is
    usual for kernels, or 1 if that is zero.
    """
    distances = squared_distances(known, known)
    if gamma is None:
        between = distances[np.triu_indices(len(known), 1)]
        median = float(np.median(between)) if between.size else 0.0
        gamma = 1 / median if median > 0 else 1.0
    eigenvalues, eigenvectors = np.linalg.eigh(np.exp(-gamma * distances))
    # The kernel has no negative eigenvalues but by rounding.
    return KernelRidge(known, gamma, eigenvalues.clip(min=0.0), eigenvectors)


def squared_distances(
    some: Float[np.ndarray, "rows latents"], others: Float[np.ndarray, "others latents"]
) -> Float[np.ndarray, "rows others"]:
    """The squared Euclidean distance between every two rows."""
    found = -2 * some @ others.T
    found += (some**2).sum(1)[:, None]
    found += (others**2).sum(1)
    # Rounding may make them negative.
    distances: np.ndarray = found.clip(min=0.0)
    return distances
