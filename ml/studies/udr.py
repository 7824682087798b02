"""UDR: disentanglement judged without factors, by how alike the codes of several models are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float
from threadpoolctl import threadpool_limits

from ml.codes.latents import is_used

ALPHA = 0.1
"""Weight of the Lasso's penalty, in scikit-learn's convention (errors over twice the rows)."""
SETTLED = 1e-5
"""Coefficients have converged if a sweep over the inputs moves none of them by more than this."""
MOST_SWEEPS = 1_000

Similarity = Literal["lasso", "spearman"]


@dataclass(frozen=True)
class UdrModel:
    """A model's codes of images. The images are the same for all models that are compared."""

    codes: Float[np.ndarray, "samples latents"]
    kl: Float[np.ndarray, "samples latents"]
    """KL to the prior in nats; NaN for an encoder without a posterior."""

    @property
    def active(self) -> Bool[np.ndarray, "latents"]:
        """Which latents are compared: those with a mean KL above 0.01 nats.

        For an encoder without a KL they are all latents that vary.
        """
        kl = self.kl.mean(axis=0)
        found: np.ndarray = np.ptp(self.codes, axis=0) > 0 if np.isnan(kl).all() else is_used(kl)
        return found


@dataclass(frozen=True)
class RunUdr:
    """How alike a run's model is to the others of its setting, and how many latents it uses."""

    value: float
    active_latents: int
    """Latents that the model uses. The value does not depend on it: models that all collapsed onto
    the same latent are as alike as models that keep five factors apart."""


def udr(models: Sequence[UdrModel], *, similarity: Similarity = "lasso") -> list[float | None]:
    r"""Unsupervised Disentanglement Ranking: how alike each model is to the others.

    Disentangled models are alike up to the order and the signs of their latents. Entangled models
    are each entangled in their own way. With :math:`R_{ij}` the similarity of latent i of another
    model and latent j of this one,

    .. math::
        \frac{1}{2} \left[ \operatorname{mean}_j \frac{\max_i R_{ij}^2}{\sum_i R_{ij}}
        + \operatorname{mean}_i \frac{\max_j R_{ij}^2}{\sum_j R_{ij}} \right]

    is the likeness of the pair. A model's value is the median of its likeness to the other models.
    It is in [0, 1] for nearly all codes, and higher is better. It does not depend on how many
    latents a model uses: compare models that use equally many, and read it beside
    `UdrModel.active`.

    The means are those of disentanglement_lib: a mean over the latents of each model, and then the
    mean of the two. Duan et al. write one sum over the latents of both models, divided by the
    number of all these latents. That is the same if both models use equally many latents; otherwise
    it gives more weight to the model that uses more. Both take the median over the other models.

    Latents are standardised. With `lasso`, R is the size of the coefficients that predict each
    latent of this model from all latents of the other (alpha is 0.1, so that equal and uncorrelated
    latents reach 0.9 at most). With `spearman`, R is the size of the rank correlation.

    Latents with a mean KL of at most 0.01 nats are left out, both as rows and as columns: the means
    are over the other latents, so that unused latents cost nothing. Without a KL, all latents that
    vary are compared. Terms without any similarity count as 0. So does a pair in which one model
    uses no latent, where the published code fails.

    Returns:
        One value for each model. It is None for a model whose codes are not finite, which is also
        left out of the others' medians, and for a model without another one to compare with.

    References:
        Duan et al., 2020, https://arxiv.org/abs/1905.12614
    """
    finite = [bool(np.isfinite(model.codes).all()) for model in models]
    used = [
        _standardised(model) for model, is_finite in zip(models, finite, strict=True) if is_finite
    ]
    if len(used) < 2:
        return [None] * len(models)
    # Products of such small matrices take several times as long on many threads.
    with threadpool_limits(1, user_api="blas"):
        pairs = _likeness(used, similarity)
    values = iter(np.median(_without_diagonal(pairs), axis=0))
    return [float(next(values)) if fit else None for fit in finite]


def pair_likeness(similarity: Float[np.ndarray, "one other"]) -> float:
    """Likeness of two models, from the similarity of one's latents to the other's.

    It is 1 for an identity matrix, 1 / latents if all entries are 1, and 0 if all are 0 or there
    are no latents.
    """
    if similarity.size == 0:
        return 0.0
    ends = []
    for axis in (0, 1):
        sums = similarity.sum(axis=axis)
        peaks = similarity.max(axis=axis) ** 2
        ends.append(_over(peaks, sums).mean())
    return float(np.mean(ends))


def lasso_coefficients(
    gram: Float[np.ndarray, "inputs inputs"],
    products: Float[np.ndarray, "inputs targets"],
    *,
    alpha: float = ALPHA,
) -> Float[np.ndarray, "inputs targets"]:
    r"""Weights W (inputs, targets) that minimise, for each target y of the inputs X,

    .. math:: \frac{1}{2n} \lVert y - X w \rVert^2 + \alpha \lVert w \rVert_1

    from `gram` X'X / n and `products` X'y / n, by coordinate descent for all targets at once.
    """
    weights = np.zeros_like(products)
    left = np.arange(products.shape[1])
    inputs = np.flatnonzero(gram.diagonal() > 0)
    for _ in range(MOST_SWEEPS):
        moving, targets = weights[:, left], products[:, left]
        before = moving.copy()
        for k in inputs:
            # The part that the other inputs leave to input k, shrunk towards 0 by alpha.
            rest = targets[k] - gram[k] @ moving + gram[k, k] * moving[k]
            moving[k] = np.sign(rest) * np.maximum(np.abs(rest) - alpha, 0) / gram[k, k]
        weights[:, left] = moving
        left = left[np.abs(moving - before).max(axis=0, initial=0) > SETTLED]
        if not left.size:
            break
    return weights


def _standardised(model: UdrModel) -> np.ndarray:
    """The active latents with mean 0 and deviation 1; a constant latent becomes 0."""
    codes = model.codes[:, model.active].astype(np.float64)
    centred = codes - codes.mean(axis=0)
    deviation = centred.std(axis=0)
    return _over(centred, deviation)


def _likeness(models: Sequence[np.ndarray], similarity: Similarity) -> np.ndarray:
    """Likeness (models, models) of each row's model, as the predictor, to each column's model."""
    columns = models if similarity == "lasso" else [_ranks(codes) for codes in models]
    whole = np.concatenate(columns, axis=1)
    ends = np.cumsum([codes.shape[1] for codes in columns])[:-1]
    found = []
    for codes in columns:
        of_all = codes.T @ whole / len(whole)
        if similarity == "lasso":
            of_all = lasso_coefficients(codes.T @ codes / len(codes), of_all)
        found.append([pair_likeness(np.abs(part)) for part in np.split(of_all, ends, axis=1)])
    return np.array(found)


def _ranks(codes: np.ndarray) -> np.ndarray:
    """Ranks with mean 0 and deviation 1, so that their products are Spearman's correlations.

    A constant latent has correlation 0 with all latents. The published code takes NaN there, which
    makes the whole pair NaN.
    """
    from scipy.stats import rankdata  # It takes half a second.

    ranks = rankdata(codes, axis=0) if codes.size else codes
    centred = ranks - ranks.mean(axis=0)
    deviation = centred.std(axis=0)
    return _over(centred, deviation)


def _over(values: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """values / sizes; 0 where the size is 0."""
    shares: np.ndarray = np.divide(values, sizes, out=np.zeros_like(values), where=sizes > 0)
    return shares


def _without_diagonal(pairs: np.ndarray) -> np.ndarray:
    """(models - 1, models): each column without the model's likeness to itself."""
    count = len(pairs)
    return pairs.T[~np.eye(count, dtype=bool)].reshape(count, count - 1).T
