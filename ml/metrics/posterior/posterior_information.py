"""The base of metrics that are made of the information of posteriors about factors."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from jaxtyping import Float, Int
from pydantic import Field

from ml.codes.uncertainty import Draws, Numbers, affordable, permutations
from ml.metrics.information.mutual_information import BINS, factor_classes
from ml.metrics.posterior._aggregate import (
    Aggregate,
    aggregate,
    groups_of,
    half_width_without,
    log_densities_of_classes,
    share_with_any_rows,
)
from ml.metrics.protocol import AuditSetting, ConstantFactor, Metric, Rows, Value

SAMPLES = 10_000
"""Default number of samples at which densities are taken, that of the authors' code."""
ROUNDING = 1e-9
"""Nats that rounding leaves of no information. Terms of a density are exact to 1e-10."""
PAIR_SECONDS = 1.2e-9
"""Seconds for the density of one component at one point."""


@dataclass(frozen=True)
class PosteriorKnowledge:
    """Mutual information of latents and factors, and entropies, in nats."""

    mutual: Float[np.ndarray, "latents factors"]
    latents: Float[np.ndarray, "latents"]
    """Differential entropies of q(z_d)."""
    factors: Float[np.ndarray, "factors"]
    without: Sequence[PosteriorKnowledge] = ()
    """Information and factors' entropies without the samples of each group."""


class PosteriorInformation(Metric):
    """A metric that is a function of the information I(z_d; v_k) of samples of the posterior.

    All metrics of the same params share one matrix and one null.
    """

    needs: ClassVar[Literal["rows", "posterior"]] = "posterior"
    takes_populations: ClassVar[bool] = True
    audited: ClassVar[Sequence[AuditSetting]] = (AuditSetting(),)
    samples: Annotated[int, Field(ge=2, le=1_000_000)] = SAMPLES
    """Most rows whose posterior sample the entropies are means over. The aggregate posterior is
    always that of all rows."""
    factor_bins: Annotated[int, Field(ge=2, le=1000)] | None = None
    """Number of bins of equal width that every factor is cut into. Null keeps the values of
    discrete factors and cuts continuous ones into 20 bins."""

    @abstractmethod
    def aggregate(self, known: PosteriorKnowledge) -> tuple[float, Mapping[str, np.ndarray]]:
        """The score, and the parts that it is made of for each factor."""

    def compute(self, rows: Rows) -> dict[str, Value]:
        known = self._known(rows)
        value, parts = self.aggregate(known)
        details: dict[str, Any] = {
            "factors": list(rows.factor_names),
            **{name: part.tolist() for name, part in parts.items()},
            "factor_entropies": known.factors.tolist(),
            "latent_entropies": known.latents.tolist(),
            "mutual_information": known.mutual.tolist(),
            "samples": min(self.samples, len(rows)),
            "density": "merged" if self._aggregate(rows).merged else "exact",
        }
        return {self.name: Value(value, details)}

    def seconds(self, rows: Rows) -> float:
        known = self._aggregate(rows)
        marginal = len(known.points) * known.components() * PAIR_SECONDS
        return marginal + self._seconds_of_classes(rows)

    def null(self, rows: Rows) -> Draws:
        key = ("information of posteriors under the null", self.samples, self.factor_bins)
        if key not in rows.shared:
            known, classes = self._aggregate(rows), self._classes(rows)
            # The density of each latent is the same with any factors.
            number = affordable(self._seconds_of_classes(rows))
            rows.shared[key] = [
                information(known, classes[index], rows, groups=False)
                for index in permutations(rows, number)
            ]
        return {self.name: np.array([self.aggregate(one)[0] for one in rows.shared[key]])}

    def half_widths(self, rows: Rows) -> Numbers:
        scores = np.array([self.aggregate(one)[0] for one in self._known(rows).without])
        return {self.name: half_width_without(scores)}

    def half_widths_of_draws(self, rows: Rows) -> Numbers:
        """On a population that of all samples, else what is left of it with any number of rows.

        The first is too wide if there are samples of all rows, as only their noise is drawn then
        and not the rows.
        """
        left = share_with_any_rows(rows, self.samples)
        return {name: left * width for name, width in self.half_widths(rows).items()}

    def _aggregate(self, rows: Rows) -> Aggregate:
        return aggregate(rows, self.samples, self.name)

    def _classes(self, rows: Rows) -> Int[np.ndarray, "samples factors"]:
        return factor_classes(
            rows, self.factor_bins or BINS, all_factors=self.factor_bins is not None, scaled=False
        )

    def _known(self, rows: Rows) -> PosteriorKnowledge:
        key = ("information of posteriors", self.samples, self.factor_bins)
        if key not in rows.shared:
            classes = self._classes(rows)
            for column in np.flatnonzero(classes.max(0) == 0):
                name = rows.factor_names[column]
                raise ConstantFactor(name, int(column), rows.factors[0, column].item())
            rows.shared[key] = information(self._aggregate(rows), classes, rows, groups=True)
        found: PosteriorKnowledge = rows.shared[key]
        return found

    def _seconds_of_classes(self, rows: Rows) -> float:
        known = self._aggregate(rows)
        # A value's points meet its own rows, or the components of all if those are fewer.
        sizes = [np.bincount(of) for of in self._classes(rows).T]
        pairs = sum(
            float((one * np.minimum(one, int(latent.cell[-1]) + 1)).sum())
            for one in sizes
            for latent in known.latents
        )
        # Sorting and merging takes about 50 ns a row.
        gathered = 5e-8 * len(rows) * len(known.latents) * len(sizes)
        return pairs * len(known.points) / len(rows) * PAIR_SECONDS + gathered


def information(
    known: Aggregate, classes: Int[np.ndarray, "samples factors"], rows: Rows, *, groups: bool
) -> PosteriorKnowledge:
    r"""Information of each latent about each factor, whose classes are indices from 0.

    .. math:: I(z_d; v_k) = \frac{1}{S} \sum_s \log q(z_{sd} | v_k = c_s) - \log q(z_{sd})

    where c_s is the value of the sample's own row. It is cut to [0, H(v_k)], which only the error
    of samples can leave, and what is below rounding is 0. With `groups` it is found without each
    group of samples, too.
    """
    points = len(known.points)
    group = groups_of(rows)[known.chosen] if groups else np.zeros(points, dtype=np.int64)
    sizes = np.bincount(group)
    entropies, surprises, terms = [], [], []
    for column in classes.T:
        shares = np.bincount(column) / len(column)
        surprise = -np.log(shares[column[known.chosen]])
        entropies.append(float(-(shares[shares > 0] * np.log(shares[shares > 0])).sum()))
        surprises.append(np.bincount(group, surprise))
        by_latent = log_densities_of_classes(known, column, rows)
        terms.append(
            [
                np.bincount(group, conditional - marginal)
                for conditional, marginal in zip(by_latent, known.log_densities.T, strict=True)
            ]
        )
    # (groups, latents, factors) and (groups, factors)
    sums, entropy_sums = np.array(terms).transpose(2, 1, 0), np.array(surprises).T
    whole = PosteriorKnowledge(
        _within(sums.sum(0) / points, np.array(entropies)),
        -known.log_densities.mean(0),
        np.array(entropies),
    )
    if not groups or sizes.max() == points:
        return whole
    without = []
    for of_group, size, surprise in zip(sums, sizes, entropy_sums, strict=True):
        left = points - size
        # The factors of a population are as they are.
        factors = whole.factors if rows.population else (entropy_sums.sum(0) - surprise) / left
        mutual = _within((sums.sum(0) - of_group) / left, factors)
        without.append(PosteriorKnowledge(mutual, whole.latents, factors))
    return replace(whole, without=without)


def _within(
    mutual: Float[np.ndarray, "latents factors"], factors: Float[np.ndarray, "factors"]
) -> Float[np.ndarray, "latents factors"]:
    found: np.ndarray = np.clip(mutual, 0.0, factors)
    # What rounding leaves of a collapsed latent must not lead others in a ratio.
    found[found < ROUNDING] = 0.0
    return found
