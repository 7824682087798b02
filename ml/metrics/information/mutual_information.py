"""Mutual information between binned codes and classes of factors, by counting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Real, Shaped

from ml.codes.rows import FactorKind, Rows, UnusableRows
from ml.codes.scaling import above_least

BINS = 20
"""Default number of bins of a code, as in the protocol."""
MOST_CELLS = 2**24
"""Most cells that are counted at once. An array of them takes 128 MB."""


@dataclass(frozen=True)
class Information:
    """Mutual information and entropies from one table of counts, in nats."""

    mutual: Float[np.ndarray, "latents factors"]
    """Mutual information of every code with every factor."""
    codes: Float[np.ndarray, "latents"]
    """Entropies of the binned codes."""
    factors: Float[np.ndarray, "factors"]
    """Entropies of the factors."""


def equal_width_bins(
    values: Shaped[np.ndarray, "samples columns"], n_bins: int, *, scaled: bool = False
) -> Int[np.ndarray, "samples columns"]:
    """Bin indices 0 to n_bins - 1 of each column, of equal width between its minimum and maximum.

    The edges are numpy.histogram's in the dtype of `values`. The bin is
    `digitize(x, edges[:-1]) - 1`, so that the maximum falls into the last bin. A constant column
    falls into one bin. This is the protocol's discretiser (disentanglement_lib). Unlike numpy's
    own, it also cuts a column whose values differ only in their last digits, as those of a
    collapsed encoder do. Some of the bins are then empty.

    `scaled` takes columns to [0, 1] first, as the metrics of Carbonneau and Zaidi do. The bins are
    the same, except for values that lie on an edge up to rounding.
    """
    binned = np.empty(values.shape, dtype=np.int64)
    for column, data in enumerate(values.T):
        compared, edges = _compared(data, n_bins, scaled=scaled)
        binned[:, column] = np.digitize(compared, edges[:-1]) - 1
    return binned


def _compared(data: np.ndarray, n_bins: int, *, scaled: bool) -> tuple[np.ndarray, np.ndarray]:
    """A column's values and the edges of its bins, as they are compared."""
    data = data.astype(np.uint8) if data.dtype == bool else data
    if data.dtype == np.float64 and _is_too_wide(data.min(), data.max()):
        data = data / 2
    if data.dtype.kind in "iu" and max(int(data.max()), -int(data.min())) > 2**53:
        # Edges are float64, which rounds such integers, but may hold their differences exactly.
        data = above_least(data)
    if not scaled:
        return data, _edges(data, n_bins)
    low, high = float(data.min()), float(data.max())
    data = (data.astype(np.float64) - low) / ((high - low) or 1.0)
    return data, np.linspace(0.0, 1.0, n_bins + 1)


def _is_too_wide(lows: np.ndarray, highs: np.ndarray) -> bool:
    """Whether a difference is beyond the largest float64. That of the halves never is."""
    with np.errstate(over="ignore"):
        return not np.isfinite(highs - lows).all()


class Recut:
    """Columns made ready for cutting one part of their rows after another into bins.

    Each part is cut between its own minimum and maximum. The bins are those of `equal_width_bins`
    of its rows, but no value is compared with edges: in a sorted column bins are stretches.
    """

    def __init__(
        self, values: Shaped[np.ndarray, "samples columns"], n_bins: int, *, scaled: bool
    ) -> None:
        self._n_bins, self._scaled = n_bins, scaled
        orders = np.argsort(values.T, axis=1, kind="stable")
        self._sorted = np.take_along_axis(values.T, orders, axis=1)
        self._places = np.empty(orders.shape, dtype=np.int64)
        np.put_along_axis(self._places, orders, np.arange(len(values))[None], axis=1)

    def bins(self, rows: Int[np.ndarray, "part"]) -> Int[np.ndarray, "part columns"]:
        """The bins of these rows."""
        binned = np.empty((len(self._sorted), len(rows)), dtype=np.int64)
        for column, (data, places) in enumerate(zip(self._sorted, self._places, strict=True)):
            place = places[rows]
            first, last = place.min(), place.max()
            compared, edges = _compared(data[first : last + 1], self._n_bins, scaled=self._scaled)
            begin = np.searchsorted(compared, edges[:-1])
            lengths = np.diff(begin, append=len(compared))
            binned[column] = np.repeat(np.arange(self._n_bins), lengths)[place - first]
        return binned.T


def bins_between(
    values: Shaped[np.ndarray, "samples columns"],
    n_bins: int,
    lowest: Float[np.ndarray, "columns"],
    highest: Float[np.ndarray, "columns"],
) -> Int[np.ndarray, "samples columns"]:
    """Bin indices of each column, with bins of equal width between the ends given for it.

    Values beyond the ends fall into the first or the last bin.
    """
    values = values.astype(np.float64)
    if _is_too_wide(lowest, highest):
        values, lowest, highest = values / 2, lowest / 2, highest / 2
    widths = highest - lowest
    places = (values - lowest) / np.where(widths > 0, widths, 1.0)
    binned: np.ndarray = (places * n_bins).clip(0, n_bins - 1).astype(np.int64)
    return binned


def _edges(data: np.ndarray, n_bins: int) -> np.ndarray:
    low, high = data.min(), data.max()
    with np.errstate(over="ignore"):
        if data.dtype.kind == "f" and not np.isfinite(high - low):
            # Only float64 is wide enough for the difference.
            low, high, data = np.float64(low), np.float64(high), data[:1].astype(np.float64)
    if low == high:
        low, high = low - 0.5, high + 0.5
    dtype = np.result_type(low, high, data)
    return np.linspace(low, high, n_bins + 1, dtype=dtype if dtype.kind == "f" else np.float64)


def factor_classes(
    rows: Rows, n_bins: int, *, all_factors: bool, scaled: bool
) -> Int[np.ndarray, "samples factors"]:
    """Class indices of each factor. Classes are a discrete factor's values, and others' bins.

    With `all_factors` discrete factors are cut into bins, too.
    """
    kinds: list[FactorKind] = ["continuous" if all_factors else kind for kind in rows.factor_kinds]
    return classes_of(rows.factors, kinds, n_bins, scaled=scaled)


def classes_of(
    factors: Real[np.ndarray, "samples factors"],
    kinds: Sequence[FactorKind],
    n_bins: int = BINS,
    *,
    scaled: bool = False,
) -> Int[np.ndarray, "samples factors"]:
    """Class indices of factors of these kinds: a discrete one's values, a continuous one's bins."""
    classes = np.empty(factors.shape, dtype=np.int64)
    for column, kind in enumerate(kinds):
        values = factors[:, column]
        if kind == "discrete":
            classes[:, column] = np.unique(values, return_inverse=True)[1]
        else:
            classes[:, column] = equal_width_bins(values[:, None], n_bins, scaled=scaled)[:, 0]
    return classes


def shares_explained(
    codes: Real[np.ndarray, "samples latents"], classes: Int[np.ndarray, "samples factors"]
) -> Float[np.ndarray, "latents factors"]:
    """The share of each factor's entropy that each latent explains, I(z; v) / H(v).

    The codes are cut into 20 bins of equal width. The classes are indices, and every factor must
    vary. Shares are in [0, 1].
    """
    known = information(equal_width_bins(codes, BINS), classes)
    shares: np.ndarray = known.mutual / known.factors
    return shares


def information(
    codes: Int[np.ndarray, "samples latents"], factors: Int[np.ndarray, "samples factors"]
) -> Information:
    """Mutual information of every code with every factor, and their entropies.

    Both are class indices from 0. One bincount counts all pairs, or the pairs of as many latents as
    fit into memory. From counts n of N rows

    .. math:: N H = N \\log N - \\sum n \\log n, \\qquad I = H(z) + H(v) - H(z, v)

    Information below rounding is set to zero. The smallest information that counts can have is
    about 1 / (2 N^2).

    Raises:
        UnusableRows: factors have so many values that the table of one latent does not fit.
    """
    samples, latents = codes.shape
    n_factors = factors.shape[1]
    table = _Table.of(codes, factors)
    n_bins, width = table.bins, table.width
    # Rows last: numpy adds and counts along memory.
    shifted = np.ascontiguousarray((factors + table.starts).T)
    latents_at_once = max(1, MOST_CELLS // max(samples * n_factors, n_bins * width))
    rows_at_once = max(1, MOST_CELLS // (latents_at_once * n_factors))
    counted = []
    for first in range(0, latents, latents_at_once):
        part = codes[:, first : first + latents_at_once]
        rows = np.ascontiguousarray((part + n_bins * np.arange(part.shape[1])).T) * width
        counts = np.zeros(part.shape[1] * n_bins * width, dtype=np.int64)
        for start in range(0, samples, rows_at_once):
            some = slice(start, start + rows_at_once)
            cells = rows[:, None, some] + shifted[None, :, some]
            counts += np.bincount(cells.ravel(), minlength=len(counts))
        counted.append(table.sums(counts.reshape(part.shape[1], n_bins, width)))
    return table.information(counted)


class Pairs:
    """Classes of codes and factors, made ready for counting them in one order after another.

    The counts and all numbers from them are those of `information`. Counting takes a fraction of
    the time, and lets other threads run meanwhile.

    Raises:
        UnusableRows: as `information`.
    """

    def __init__(
        self, codes: Int[np.ndarray, "samples latents"], factors: Int[np.ndarray, "samples factors"]
    ) -> None:
        self._table = _Table.of(codes, factors)
        self._codes = np.ascontiguousarray(codes.T, dtype=np.uint32)
        self._places = (factors + self._table.starts).astype(np.uint32)

    def information(self, order: Int[np.ndarray, "samples"]) -> Information:
        """The information of the codes with the factors of these rows instead of their own."""
        # Those who only want to know the metrics need not wait for numba.
        from ml.metrics.information._pair_counts import count_pairs

        table = self._table
        latents_at_once = max(1, MOST_CELLS // (table.bins * table.width))
        counted = []
        for first in range(0, len(self._codes), latents_at_once):
            part = self._codes[first : first + latents_at_once]
            counts = np.zeros((len(part), table.bins, table.width), dtype=np.int64)
            count_pairs(part, self._places, order, counts)
            counted.append(table.sums(counts))
        return table.information(counted)


def counted(
    codes: Int[np.ndarray, "samples latents"], factors: Int[np.ndarray, "samples factors"]
) -> Information:
    """`information`, for whoever calls it often: the counting is compiled first."""
    return Pairs(codes, factors).information(np.arange(len(codes)))


class _Sums(NamedTuple):
    """Sums of n log n over the counts n of some latents' tables."""

    joint: Float[np.ndarray, "latents factors"]
    codes: Float[np.ndarray, "latents"]
    factors: Float[np.ndarray, "factors"]


class _Table(NamedTuple):
    """The form of a table that counts each bin of a code with each class of each factor."""

    samples: int
    bins: int
    sizes: Int[np.ndarray, "factors"]
    starts: Int[np.ndarray, "factors"]
    """The first column of each factor."""
    width: int

    @classmethod
    def of(cls, codes: np.ndarray, factors: np.ndarray) -> _Table:
        sizes = factors.max(0) + 1
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        n_bins, width = int(codes.max()) + 1, int(offsets[-1])
        if n_bins * width > MOST_CELLS:
            raise UnusableRows(
                f"a table of {n_bins} bins and {width} values of factors does not fit into memory:"
                f" column {int(sizes.argmax())} of factors has {int(sizes.max())}; call it"
                " continuous, or set factor_bins"
            )
        return cls(len(codes), n_bins, sizes, offsets[:-1], width)

    def sums(self, counts: Int[np.ndarray, "latents bins width"]) -> _Sums:
        n_log_n = _n_log_n(self.samples)
        return _Sums(
            np.add.reduceat(n_log_n[counts].sum(1), self.starts, axis=1),
            # Each row of a factor's table sums to the bin's count, whichever factor.
            n_log_n[counts[:, :, : self.sizes[0]].sum(2)].sum(1),
            np.add.reduceat(n_log_n[counts[0].sum(0)], self.starts),
        )

    def information(self, parts: Sequence[_Sums]) -> Information:
        """The information of all latents, from the sums of some of them at a time."""
        whole, of_factors = _n_log_n(self.samples)[self.samples], parts[0].factors
        joint = np.concatenate([part.joint for part in parts])
        of_codes = np.concatenate([part.codes for part in parts])
        mutual = joint - of_codes[:, None] - of_factors + whole
        mutual /= self.samples
        mutual[mutual < 1e-13] = 0.0
        return Information(
            mutual,
            ((whole - of_codes) / self.samples).clip(min=0.0),
            ((whole - of_factors) / self.samples).clip(min=0.0),
        )


@lru_cache(maxsize=2)
def _n_log_n(samples: int) -> Float[np.ndarray, "counts"]:
    """n log n for every count n that can occur."""
    found = np.arange(samples + 1, dtype=np.float64)
    found[1:] *= np.log(found[1:])
    found.flags.writeable = False
    return found
