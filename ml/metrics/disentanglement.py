"""Disentanglement and completeness of a matrix of how much each code matters to each factor."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def disentanglement_per_code(
    importance: Float[np.ndarray, "latents factors"],
) -> Float[np.ndarray, "latents"]:
    r"""How far each code is from mattering equally to all factors.

    .. math:: D_d = 1 - H_K(R_{d\cdot} / \textstyle\sum_k R_{dk})

    with the entropy to base K. `importance` R is not negative. The result is in [0, 1]. A code that
    matters to no factor scores 0, and with a single factor any other code scores 1.
    """
    masses = importance.sum(1, keepdims=True)
    # disentanglement_lib adds 1e-11 to every importance instead, so that zeros have an entropy.
    shares = np.divide(importance, masses, out=np.zeros_like(importance), where=masses > 0)
    entropy = -(shares * np.log(np.where(shares > 0, shares, 1.0))).sum(1)
    factors = importance.shape[1]
    focus = 1 - entropy / np.log(factors) if factors > 1 else np.ones(len(entropy))
    return np.where(masses[:, 0] > 0, focus.clip(0.0, 1.0), 0.0)


def disentanglement(importance: Float[np.ndarray, "latents factors"]) -> float:
    r"""Whether each code matters to one factor only: the mean over codes by their importance.

    .. math:: \sum_d D_d \frac{\sum_k R_{dk}}{\sum_{dk} R_{dk}}

    `importance` is not negative. In [0, 1], higher is better; 0 where nothing matters.
    """
    return _weighted(disentanglement_per_code(importance), importance.sum(1))


def completeness_per_factor(
    importance: Float[np.ndarray, "latents factors"],
) -> Float[np.ndarray, "factors"]:
    """How far each factor is from needing all codes equally.

    It is the disentanglement of the transposed matrix: 1 less the entropy, to base D, of the D
    codes' shares. A factor to which no code matters has 0. If there is a single code, other factors
    have 1.
    """
    return disentanglement_per_code(importance.T)


def completeness(importance: Float[np.ndarray, "latents factors"]) -> float:
    """Whether each factor needs one code only: the mean over factors by their importance.

    `importance` is not negative. In [0, 1], higher is better; 0 where nothing matters.
    """
    return disentanglement(importance.T)


def _weighted(values: np.ndarray, weights: np.ndarray) -> float:
    total = weights.sum()
    return float(values @ weights / total) if total > 0 else 0.0
