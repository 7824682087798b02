"""The rows that metrics judge: codes, factors, and what is known of each."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int, Shaped

EXACT = 2**53
"""Integers up to this are exact in float64."""

FactorKind = Literal["discrete", "continuous"]


class ConstantFactor(ValueError):
    """A factor takes a single value on the rows given, so that nothing can be said about it."""

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
    """A factor is of a kind that the metric, with these params, cannot take."""

    def __init__(self, name: str, column: int, why: str) -> None:
        self.factor, self.column = name, column
        super().__init__(f"factor {name!r} (column {column}) {why}")


class UnusableRows(ValueError):
    """Codes or factors cannot be scored: the message says which column or shape, and why."""


def _go_on() -> None:
    pass


@dataclass(frozen=True)
class Rows:
    """A sample of codes with all that metrics may want to know of each row.

    The first `train` rows are for fitting predictors, the others for testing them.
    """

    codes: Shaped[np.ndarray, "samples latents"]
    factors: Shaped[np.ndarray, "samples factors"]
    factor_names: tuple[str, ...]
    factor_kinds: tuple[FactorKind, ...]
    train: int
    seed: int = 0
    kl: Float[np.ndarray, "samples latents"] | None = None
    """KL to the prior in nats; NaN for a posterior that has none."""
    reconstruction: Float[np.ndarray, "samples"] | None = None
    """-log p(x|z) in nats, one posterior sample a row."""
    factors_left_out: tuple[str, ...] = ()
    """Factors that the data set has with a single value, and so no column of here."""
    code_names: tuple[str, ...] | None = None
    """What their owner calls the codes; None: z0, z1, …"""
    threads: int = 1
    """How many threads a fit may use."""
    continue_or_stop: Callable[[], None] = _go_on
    """Called between the parts of long work; raises to stop it."""
    shared: dict[Hashable, Any] = field(default_factory=dict, compare=False, repr=False)
    """What several metrics compute of these very rows, by a key of their own choice."""

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, index: Int[np.ndarray, "chosen"] | slice, train: int) -> Rows:
        """Some of the rows, in the order of `index`; the first `train` of them are for fitting."""

        def taken(values: np.ndarray | None) -> np.ndarray | None:
            return None if values is None else values[index]

        return replace(
            self,
            codes=self.codes[index],
            factors=self.factors[index],
            kl=taken(self.kl),
            reconstruction=taken(self.reconstruction),
            train=train,
            shared={},
        )

    def only(self, rows: slice) -> Rows:
        """The same for some of the rows."""
        length = len(range(*rows.indices(len(self))))
        return self.take(rows, min(self.train, length))

    def without_single_valued(self, sizes: Sequence[int]) -> Rows:
        """Without the factors of which a data set says that they have a single value.

        Nothing can be said of them, and the others are scored as if they were not there. One that
        says so and varies all the same is kept, as is one that is constant on these rows only.
        """
        constant = (self.factors == self.factors[:1]).all(0)
        gone = [k for k, size in enumerate(sizes) if size == 1 and constant[k]]
        if not gone:
            return self
        kept = [k for k in range(self.factors.shape[1]) if k not in gone]
        return replace(
            self,
            # In the order of rows in memory, as it was: sums may round otherwise in another.
            factors=np.ascontiguousarray(self.factors[:, kept]),
            factor_names=tuple(self.factor_names[k] for k in kept),
            factor_kinds=tuple(self.factor_kinds[k] for k in kept),
            factors_left_out=tuple(self.factor_names[k] for k in gone),
            shared={},
        )

    def with_perfect_codes(self) -> Rows:
        """The same rows with the factors themselves for codes, a column each.

        The classes of discrete factors are numbered in order, so that unequal distances between
        values cost nothing; every column has a deviation of one.
        """
        columns = [
            np.unique(values, return_inverse=True)[1] if kind == "discrete" else values
            for values, kind in zip(self.factors.T, self.factor_kinds, strict=True)
        ]
        codes = np.stack(columns, axis=1).astype(np.float64)
        low, high = codes.min(0), codes.max(0)
        # By the range first: squares of large numbers are beyond what numbers hold.
        codes = (codes - low) / np.where(high > low, high - low, 1.0)
        deviations = codes.std(0)
        return replace(
            self,
            codes=codes / np.where(deviations > 0, deviations, 1.0),
            code_names=None,
            kl=None,
            reconstruction=None,
            shared={},
        )

    def with_factors_of(self, index: Int[np.ndarray, "samples"]) -> Rows:
        """Each row with another row's factors: codes that know nothing of them."""
        return replace(self, factors=self.factors[index], shared={})
