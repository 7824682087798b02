"""The KL's three parts: information about the image, total correlation, distance of each latent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from jaxtyping import Float, Int
from pydantic import Field, model_validator

from ml.codes.uncertainty import Numbers
from ml.components.component import refuse_unused
from ml.components.registry import register
from ml.metrics.posterior._aggregate import (
    LOG_2_PI,
    aggregate,
    groups_of,
    half_width_without,
    joint_log_density,
    posteriors_of,
    share_with_any_rows,
    with_samples,
)
from ml.metrics.posterior.posterior_information import SAMPLES
from ml.metrics.protocol import Metric, Number, Rows, UnusableRows, Value
from ml.reproducibility.draws import generator

if TYPE_CHECKING:
    from ml.objectives.terms.kl_parts import Estimator

WEIGHTS: Mapping[str, Estimator] = {"minibatch_weighted": "mws", "stratified": "mss"}
USERS = {"samples": ("exact",), "batch": ("minibatch_weighted", "stratified")}


@dataclass(frozen=True)
class _Densities:
    """log q at samples of the posterior."""

    chosen: Int[np.ndarray, "points"]
    """The rows whose samples these are."""
    group: Int[np.ndarray, "samples"]
    """The group of each row that is left out for the interval."""
    joint: Float[np.ndarray, "points"]
    """log q(z) of all latents together."""
    each: Float[np.ndarray, "points latents"]
    """log q(z_d)."""
    merged: bool = False


@register
class ElboDecomposition(Metric):
    r"""Parts of the KL to the prior: information about the image, total correlation, and the rest.

    .. math:: E\,\mathrm{KL}(q(z|x) \| p(z)) = \underbrace{I(z; x)}_{\text{mutual information}} +
        \underbrace{\mathrm{KL}(q(z) \| \textstyle\prod_d q(z_d))}_{\text{total correlation}} +
        \underbrace{\textstyle\sum_d \mathrm{KL}(q(z_d) \| p(z_d))}_{\text{dimension-wise KL}}

    All are in nats. q(z) = E q(z|x) is the aggregate posterior and p(z) a standard normal prior.
    `analytic_kl` is the left side in closed form, and the three parts sum to it. The mutual
    information is at most the logarithm of the number of rows, and close to it if no two posteriors
    overlap. The total correlation is 0 for independent latents, and in a collapsed model too, so
    for none of the numbers more or less is better by itself.

    The entropies of q(z) and q(z_d) are means of -log q at samples of the posterior, one of each
    row: `posterior_sample`, or one drawn by the seed. Those of q(z|x) and the cross entropy with
    the prior are in closed form, as in the authors' code. So parts near 0 may come out a little
    below 0. q(z) is estimated by

    - `exact` (default): the mean of q(z|x) over all rows, at `samples` samples at most. Latents'
      own densities are those of `mig_posterior`.
    - `minibatch_weighted`: a sum over the sample's batch with weights 1 / (N B), for N rows in
      batches of B. Every log q(z) comes out too low, by up to log N. The total correlation of ten
      latents then has an error of up to 9 log N.
    - `stratified`: a sum over the batch in which the sample's own posterior weighs 1 / N, one other
      (N - M) / (N M) and the rest 1 / M, where M = B - 1.

    The two others show what an objective of the family sees in its batches. They are no estimates
    to report.

    Mistakes elsewhere:
        The stratified weights of rtqichen/beta-tcvae are put into two columns and not on the
        diagonal, so that a sample's own posterior is not weighed as its own, and a row's weights
        sum to more than 1. YannDubs/disentangling-vae, pythae and disentangling-correlated-factors
        have copied that. disentangling-vae also adds the weight once for each latent, so that its
        total correlations are negative by dozens of nats.

    Raises:
        UnusableRows: there are no posteriors, or a single row.

    References:
        Chen et al., 2018, https://arxiv.org/abs/1802.04942;
        Hoffman and Johnson, 2016, ELBO surgery
    """

    name: Literal["elbo_decomposition"] = "elbo_decomposition"
    needs: ClassVar[Literal["rows", "posterior"]] = "posterior"
    needs_factors: ClassVar[bool] = False
    takes_populations: ClassVar[bool] = True
    numbers: ClassVar[Sequence[Number]] = (
        *(
            Number(name, higher_is_better=None, range=(None, None), perfect=None)
            for name in ("mutual_information", "total_correlation", "dimension_wise_kl")
        ),
        Number("analytic_kl", higher_is_better=None, range=(0.0, None), perfect=None),
    )
    estimator: Literal["exact", "minibatch_weighted", "stratified"] = "exact"
    """How the aggregate posterior is estimated."""
    samples: Annotated[int, Field(ge=2, le=1_000_000)] = SAMPLES
    """Most rows whose posterior sample the exact entropies are means over."""
    batch: Annotated[int, Field(ge=2, le=1024)] = 64
    """Number of rows in a batch. The rows are dealt at random into batches of about this size."""

    @model_validator(mode="after")
    def _no_param_is_ignored(self) -> ElboDecomposition:
        refuse_unused(self, "estimator", USERS)
        return self

    def compute(self, rows: Rows) -> dict[str, Value]:
        posteriors_of(rows, self.name)
        if len(rows) < 2:
            raise UnusableRows("elbo_decomposition needs at least two rows, got one")
        found = self._densities(rows)
        joint, latents = -float(found.joint.mean()), -found.each.mean(0)
        with np.errstate(over="ignore"):
            conditional, cross = (of.mean(0) for of in _closed_forms(rows))
        if not np.isfinite([joint, latents.sum(), cross.sum()]).all():
            raise UnusableRows(
                "a density or second moment of the posteriors is beyond what float64 holds; is"
                " posterior_logvar the logarithm of variances?"
            )
        numbers = {
            "mutual_information": joint - conditional.sum(),
            "total_correlation": latents.sum() - joint,
            "dimension_wise_kl": (cross - latents).sum(),
            "analytic_kl": (cross - conditional).sum(),
        }
        details: dict[str, dict[str, Any]] = {
            "mutual_information": {
                "joint_entropy": joint,
                "conditional_entropy": float(conditional.sum()),
                "log_rows": math.log(len(rows)),
                "samples": len(found.joint),
            },
            "total_correlation": {
                "latent_entropies": latents.tolist(),
                "density": "merged" if found.merged else "exact",
            },
            "dimension_wise_kl": {"per_latent": (cross - latents).tolist()},
            "analytic_kl": {"per_latent": (cross - conditional).tolist()},
        }
        return {name: Value(float(value), details[name]) for name, value in numbers.items()}

    def half_widths(self, rows: Rows) -> Numbers:
        return self._half_widths(rows, *_closed_forms(rows))

    def half_widths_of_draws(self, rows: Rows) -> Numbers:
        """On a population those of the means over samples, else what any number of rows leaves.

        The first are too wide if there is a sample of every row, as only the samples' noise is
        drawn and not the rows. Batches are of all rows, however many there are.
        """
        if self.estimator != "exact" and not rows.population:
            return super().half_widths_of_draws(rows)
        left = share_with_any_rows(rows, self.samples)
        widths = self._half_widths(rows, *(0 * of for of in _closed_forms(rows)))
        return {name: left * width for name, width in widths.items()}

    def _half_widths(self, rows: Rows, conditional: np.ndarray, cross: np.ndarray) -> Numbers:
        found = self._densities(rows)
        groups = int(found.group.max()) + 1
        of_samples = found.group[found.chosen]
        joint, latents = (
            _without_each(of_samples, of, groups) for of in (found.joint, found.each.sum(1))
        )
        of_rows, of_prior = (
            _without_each(found.group, of.sum(1), groups) for of in (conditional, cross)
        )
        numbers = {
            "mutual_information": -joint - of_rows,
            "total_correlation": joint - latents,
            "dimension_wise_kl": of_prior + latents,
            "analytic_kl": of_prior - of_rows,
        }
        return {name: half_width_without(scores) for name, scores in numbers.items()}

    def _densities(self, rows: Rows) -> _Densities:
        key = ("densities of the aggregate posterior", self.model_dump_json())
        if key not in rows.shared:
            rows.shared[key] = self._computed(rows)
        found: _Densities = rows.shared[key]
        return found

    def _computed(self, rows: Rows) -> _Densities:
        if self.estimator == "exact":
            known = aggregate(rows, self.samples, self.name)
            joint = joint_log_density(known, rows)
            return _Densities(
                known.chosen, groups_of(rows), joint, known.log_densities, known.merged
            )
        return _of_batches(with_samples(rows, self.name), WEIGHTS[self.estimator], self.batch)


def _of_batches(rows: Rows, estimator: Estimator, size: int) -> _Densities:
    """log q of each row's sample, from its batch."""
    import torch  # Codes are scored without it by all other estimators.

    from ml.objectives.terms.kl_parts import gaussian_log_density, log_mixtures, log_weights

    assert rows.posteriors is not None
    order = generator(rows.seed, "batches of the aggregate posterior").permutation(len(rows))
    group = np.empty(len(rows), dtype=np.int64)
    joint, each = np.empty(len(rows)), np.empty(rows.posteriors.mean.shape)
    # Batches differ in size by one row at most.
    for batch, index in enumerate(np.array_split(order, max(1, round(len(rows) / size)))):
        rows.continue_or_stop()
        of = rows.posteriors.take(index)
        sample, mean, log_variance = (
            torch.from_numpy(values.astype(np.float64))
            for values in (of.sample, of.mean, of.log_variance)
            if values is not None
        )
        densities = gaussian_log_density(sample[:, None], mean[None], log_variance[None])
        weights = log_weights(estimator, len(index), len(rows)).to(densities)
        of_all, of_each = log_mixtures(densities, weights)
        group[index], joint[index], each[index] = batch, of_all.numpy(), of_each.numpy()
    return _Densities(np.arange(len(rows)), group, joint, each)


def _closed_forms(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Entropies of each q(z_d|x), and its cross entropies with the prior: (samples, latents)."""
    assert rows.posteriors is not None
    mean = rows.posteriors.mean.astype(np.float64)
    log_variance = rows.posteriors.log_variance.astype(np.float64)
    conditional = 0.5 * (LOG_2_PI + 1 + log_variance)
    with np.errstate(over="ignore"):
        cross = 0.5 * (LOG_2_PI + mean**2 + np.exp(log_variance))
    return conditional, cross


def _without_each(
    group: Int[np.ndarray, "terms"], terms: Float[np.ndarray, "terms"], groups: int
) -> Float[np.ndarray, "groups"]:
    """The mean of the terms without those of each group."""
    sums = np.bincount(group, terms, minlength=groups)
    sizes = np.bincount(group, minlength=groups)
    if sizes.max() == len(terms):
        raise UnusableRows("there is one group of rows, and none remains without it")
    means: np.ndarray = (terms.sum() - sums) / (len(terms) - sizes)
    return means
