"""The rows that metrics judge: codes and factors, with their names and kinds."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int, Shaped

from ml.codes.groups import CodeGroups

EXACT = 2**53
"""Integers up to this are exact in float64."""

FactorKind = Literal["discrete", "continuous"]


class ConstantFactor(ValueError):
    """A factor takes a single value on the rows given, so no score can judge it."""

    def __init__(
        self,
        name: str,
        column: int,
        value: object,
        rows: str = "these rows",
        remedy: str = "drop the column or give rows on which it varies",
    ) -> None:
        self.factor, self.column = name, column
        super().__init__(
            f"factor {name!r} (column {column}) has the single value {value!r} on {rows}; {remedy}"
        )


class UnfitFactor(ValueError):
    """A factor is of a kind that the metric cannot take with these params."""

    def __init__(self, name: str, column: int, why: str) -> None:
        self.factor, self.column = name, column
        super().__init__(f"factor {name!r} (column {column}) {why}")


class UnusableRows(ValueError):
    """Codes or factors cannot be scored. The message names the column or shape, and the reason."""


def _go_on() -> None:
    pass


@dataclass(frozen=True)
class Posteriors:
    """The Gaussian posterior q(z|x) = N(mean, diag(exp(log_variance))) of each row."""

    mean: Shaped[np.ndarray, "samples latents"]
    log_variance: Float[np.ndarray, "samples latents"]
    sample: Shaped[np.ndarray, "samples latents"] | None = None
    """One sample of each posterior, or None if none was kept."""

    def take(self, index: Int[np.ndarray, "chosen"] | slice) -> Posteriors:
        """The posteriors of these rows."""
        return Posteriors(
            self.mean[index],
            self.log_variance[index],
            None if self.sample is None else self.sample[index],
        )


@dataclass(frozen=True)
class Rows:
    """A sample of codes with everything that metrics may need to know of each row.

    Predictors are fitted on the first `train` rows and tested on the others.
    """

    codes: Shaped[np.ndarray, "samples latents"]
    factors: Shaped[np.ndarray, "samples factors"]
    factor_names: tuple[str, ...]
    factor_kinds: tuple[FactorKind, ...]
    train: int
    seed: int = 0
    kl: Float[np.ndarray, "samples latents"] | None = None
    """KL to the prior in nats, or NaN if the posterior has none."""
    reconstruction: Float[np.ndarray, "samples"] | None = None
    """-log p(x|z) in nats, with one posterior sample for each row."""
    posteriors: Posteriors | None = None
    """The posteriors that a model gives, whichever codes of them are scored. None stands for codes
    of unknown origin, or of an encoder without noise."""
    factor_sizes: tuple[int, ...] | None = None
    """How many values each factor takes in its data set, if that is known."""
    population: bool = False
    """Whether the rows are a complete grid: every combination of the factors' values, once each.
    Scores of them have no sampling error."""
    available: int | None = None
    """How many images there are to draw rows from, if that is known."""
    factors_left_out: tuple[str, ...] = ()
    """Factors that have a single value in the data set, and so no column here."""
    code_names: tuple[str, ...] | None = None
    """Their owner's names for the codes. None stands for z0, z1, …"""
    groups: CodeGroups | None = None
    """The groups of codes that count as one latent each (`ml.codes.grouped_rows`). If they are by
    principal component, the codes here are those components already."""
    threads: int = 1
    """How many threads a fit may use."""
    continue_or_stop: Callable[[], None] = _go_on
    """Called between the parts of long work. It raises to stop the work."""
    shared: dict[Hashable, Any] = field(default_factory=dict, compare=False, repr=False)
    """Results on these rows that several metrics share, under keys that the metrics choose."""

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, index: Int[np.ndarray, "chosen"] | slice, train: int) -> Rows:
        """The rows of `index`, in its order. The first `train` of them are training rows."""

        def taken(values: np.ndarray | None) -> np.ndarray | None:
            return None if values is None else values[index]

        return replace(
            self,
            codes=self.codes[index],
            factors=self.factors[index],
            kl=taken(self.kl),
            reconstruction=taken(self.reconstruction),
            posteriors=None if self.posteriors is None else self.posteriors.take(index),
            population=False,
            train=train,
            shared={},
        )

    def only(self, rows: slice) -> Rows:
        """A slice of the rows, with as many training rows as before or as there are."""
        length = len(range(*rows.indices(len(self))))
        return self.take(rows, min(self.train, length))

    def without_single_valued(self, sizes: Sequence[int]) -> Rows:
        """The rows without the factors that have a single value according to the data set.

        No score can judge these factors, and the others are scored as if they did not exist. A
        factor is kept if its size is 1 and it varies all the same, or if it is constant on these
        rows but has a larger size.
        """
        constant = (self.factors == self.factors[:1]).all(0)
        gone = [k for k, size in enumerate(sizes) if size == 1 and constant[k]]
        if not gone:
            return self
        kept = [k for k in range(self.factors.shape[1]) if k not in gone]
        return replace(
            self,
            # Rows stay contiguous in memory, as sums in another order may be rounded differently.
            factors=np.ascontiguousarray(self.factors[:, kept]),
            factor_names=tuple(self.factor_names[k] for k in kept),
            factor_kinds=tuple(self.factor_kinds[k] for k in kept),
            factor_sizes=None
            if self.factor_sizes is None
            else tuple(self.factor_sizes[k] for k in kept),
            factors_left_out=tuple(self.factor_names[k] for k in gone),
            shared={},
        )

    def latent_names(self) -> tuple[str, ...]:
        """The names of what counts as a latent: of the groups, or else of the codes."""
        if self.groups is not None:
            return tuple(self.groups.names)
        return self.code_names or tuple(f"z{k}" for k in range(self.codes.shape[1]))

    def summed_over_groups(
        self, of_codes: Float[np.ndarray, "codes *others"]
    ) -> Float[np.ndarray, "latents *others"]:
        """Sums over the codes of each group by importance. Without such groups, the values."""
        if self.groups is None or self.groups.by == "principal_component":
            return of_codes
        return np.stack([of_codes[columns].sum(0) for columns in self.groups.columns])

    def with_perfect_codes(self) -> Rows:
        """The same rows with the factors themselves as codes, one column for each factor.

        The classes of discrete factors are numbered in order, so that unequal distances between
        values cost nothing. Every column that varies has a deviation of one.
        """
        columns = [
            np.unique(values, return_inverse=True)[1] if kind == "discrete" else values
            for values, kind in zip(self.factors.T, self.factor_kinds, strict=True)
        ]
        codes = np.stack(columns, axis=1).astype(np.float64)
        low, high = codes.min(0), codes.max(0)
        # Divide by the range first, as squares of large numbers may overflow.
        codes = (codes - low) / np.where(high > low, high - low, 1.0)
        deviations = codes.std(0)
        return replace(
            self,
            codes=codes / np.where(deviations > 0, deviations, 1.0),
            code_names=None,
            groups=None,
            kl=None,
            reconstruction=None,
            posteriors=None,
            shared={},
        )

    def with_factors_of(self, index: Int[np.ndarray, "samples"]) -> Rows:
        """The codes with the factors of the rows of `index`, so that they know nothing of them."""
        return replace(self, factors=self.factors[index], shared={})
