r"""The aggregate posterior q(z) = 1/N sum_n q(z|x_n) of rows, and its density at samples of it.

A latent's q(z_d), or q(z_d|v=c) over the rows of one value, is a mixture of one Gaussian a row. The
density costs samples x rows exponentials for each latent. Beyond `EXACT_ROWS` rows, posteriors of a
latent that are nearly the same are merged: those whose means lie within a quarter of a deviation,
and whose variances within a factor of 1.13, become one Gaussian of their number, mean and variance.
On the whole of dSprites, 737,280 components of a latent become thousands. Entropies then move by
less than 1e-4, since only third moments within a component are lost, and an error of the density
counts to second order. The density of all latents together is never merged.

**Intervals.** An entropy is a mean of -log q over samples. To first order, rows move it by these
terms alone and not by the density: an error e of the density moves E log q by the integral of
q e / q, which is 0. So the rows are dealt into groups, and the terms of each group are left out of
the means in turn. This takes no further densities. It holds for drawn rows as for drawn samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float, Int
from scipy.special import stdtrit

from ml.codes.repeated_rows import blocks
from ml.codes.rows import Posteriors, Rows, UnusableRows
from ml.codes.uncertainty import CONFIDENCE
from ml.reproducibility.draws import generator

EXACT_ROWS = 20_000
"""Up to this many rows, every row's posterior is a component of its own."""
WIDTH = 0.25
"""How far means may be apart that are merged, in deviations."""
LOG_VARIANCE_WIDTH = 0.125
"""How far log variances may be apart that are merged."""
GROUPS = 50
"""Groups of rows that are left out in turn for an interval."""
POINTS_AT_ONCE = 512
"""Points whose density of all latents is computed between two calls of `continue_or_stop`."""
LOG_2_PI = math.log(2 * math.pi)

_T = TypeVar("_T")
_R = TypeVar("_R")


class _Latent(NamedTuple):
    """The posteriors of one latent, with those that are merged next to each other."""

    order: Int[np.ndarray, "samples"]
    """The row of each."""
    cell: Int[np.ndarray, "samples"]
    """The number of its component, ascending."""
    mean: Float[np.ndarray, "samples"]
    variance: Float[np.ndarray, "samples"]


@dataclass(frozen=True)
class Aggregate:
    """The aggregate posterior of some rows, and the samples at which its density is taken."""

    latents: Sequence[_Latent]
    chosen: Int[np.ndarray, "points"]
    """The rows whose samples these are."""
    points: Float[np.ndarray, "points latents"]
    log_densities: Float[np.ndarray, "points latents"]
    """log q(z_d) at each point."""
    merged: bool
    """Whether posteriors that are nearly the same were merged."""

    def components(self) -> int:
        """How many Gaussians all latents have together."""
        return sum(int(latent.cell[-1]) + 1 for latent in self.latents)


def posteriors_of(rows: Rows, metric: str) -> Posteriors:
    """The rows' posteriors.

    Raises:
        UnusableRows: there are none.
    """
    if rows.posteriors is None:
        raise UnusableRows(
            f"{metric} needs the posterior of each row, and there is none: beside the codes, which"
            " are its means, give posterior_logvar (log_variance in the codes.npz of a run);"
            " encoders without noise have no posterior"
        )
    return rows.posteriors


def with_samples(rows: Rows, metric: str) -> Rows:
    """The rows with one sample of each posterior: the one that came with it, or one drawn by seed.

    Raises:
        UnusableRows: there are no posteriors.
    """
    posteriors = posteriors_of(rows, metric)
    if posteriors.sample is not None:
        return rows
    noise = generator(rows.seed, "posterior samples").standard_normal(posteriors.mean.shape)
    with np.errstate(over="ignore"):
        deviation = np.exp(0.5 * posteriors.log_variance.astype(np.float64))
        sample = posteriors.mean + deviation * noise
    return replace(
        rows, posteriors=Posteriors(posteriors.mean, posteriors.log_variance, sample), shared={}
    )


def aggregate(rows: Rows, samples: int, metric: str) -> Aggregate:
    """The aggregate posterior of the rows, with the samples of at most `samples` of them.

    Raises:
        UnusableRows: there are no posteriors, or their densities are beyond what float64 holds.
    """
    key = ("aggregate posterior", samples)
    if key not in rows.shared:
        rows.shared[key] = _aggregate(with_samples(rows, metric), samples)
    found: Aggregate = rows.shared[key]
    return found


def _aggregate(rows: Rows, samples: int) -> Aggregate:
    posteriors = rows.posteriors
    assert posteriors is not None and posteriors.sample is not None
    merged = len(rows) > EXACT_ROWS
    sample = posteriors.sample.astype(np.float64)
    chosen = generator(rows.seed, "rows with samples").permutation(len(rows))[:samples]
    points = np.ascontiguousarray(sample[chosen])

    def of_latent(d: int) -> tuple[_Latent, np.ndarray]:
        mean = posteriors.mean[:, d].astype(np.float64)
        log_variance = posteriors.log_variance[:, d].astype(np.float64)
        latent = _latent(mean, log_variance, merged=merged)
        return latent, _log_density(points[:, d], latent.mean, latent.variance, latent.cell)

    found = list(in_threads(of_latent, range(points.shape[1]), rows))
    densities = np.stack([one[1] for one in found], axis=1)
    if not np.isfinite(densities).all():
        column = int(np.flatnonzero(~np.isfinite(densities).all(0))[0])
        raise UnusableRows(
            f"the density of column {column} of the posterior's samples is beyond what float64"
            " holds; are posterior_logvar (log of variances) and posterior_sample those of codes?"
        )
    return Aggregate([one[0] for one in found], chosen, points, densities, merged)


def log_densities_of_classes(
    known: Aggregate, classes: Int[np.ndarray, "samples"], rows: Rows
) -> Iterator[Float[np.ndarray, "points"]]:
    """log q(z_d|c) for each latent, where c is the class of each point's own row."""
    own = classes[known.chosen]
    # numpy sorts integers of 16 bits in linear time.
    small = classes.astype(np.int16 if classes.max() < 2**15 else np.int64)
    order = np.argsort(own, kind="stable")
    ends = np.cumsum(np.bincount(own, minlength=int(classes.max()) + 1))

    def of_latent(d: int) -> np.ndarray:
        latent, points = known.latents[d], known.points[order, d]
        by_class = small[latent.order]
        within = np.argsort(by_class, kind="stable")
        last = np.cumsum(np.bincount(by_class, minlength=len(ends)))
        found = np.empty(len(points))
        for begin, end, first, stop in zip(
            np.r_[0, ends[:-1]], ends, np.r_[0, last[:-1]], last, strict=True
        ):
            if begin < end:
                some = within[first:stop]
                found[order[begin:end]] = _log_density(
                    points[begin:end], latent.mean[some], latent.variance[some], latent.cell[some]
                )
        return found

    return in_threads(of_latent, range(len(known.latents)), rows)


def joint_log_density(known: Aggregate, rows: Rows) -> Float[np.ndarray, "points"]:
    """log q(z) of all latents together at each point."""
    from ml.metrics.posterior._log_mixture import log_mixture  # Only who computes waits for numba.

    assert rows.posteriors is not None
    mean = np.ascontiguousarray(rows.posteriors.mean.T, dtype=np.float64)
    log_variance = np.ascontiguousarray(rows.posteriors.log_variance.T, dtype=np.float64)
    with np.errstate(over="ignore"):
        scales = np.exp(-0.5 * log_variance) * math.sqrt(0.5)
    offsets = -0.5 * log_variance.sum(0)

    def of_part(start: int) -> np.ndarray:
        points = known.points[start : start + POINTS_AT_ONCE]
        found = np.empty(len(points))
        log_mixture(points, mean, scales, offsets, found)
        return found

    parts = list(in_threads(of_part, range(0, len(known.points), POINTS_AT_ONCE), rows))
    joint: np.ndarray = np.concatenate(parts) - 0.5 * len(mean) * LOG_2_PI - math.log(len(rows))
    return joint


def groups_of(rows: Rows) -> Int[np.ndarray, "samples"]:
    """The group of each row, at random. Repeated rows are in one group."""
    block = blocks(rows)
    order = generator(rows.seed, "groups of rows").permutation(int(block.max()) + 1)
    found: np.ndarray = order[block] % GROUPS
    return found


def half_width_without(scores: Float[np.ndarray, "groups"]) -> float:
    """Half the width of the 95 % interval, from scores without each group."""
    groups = len(scores)
    if groups < 2:
        raise UnusableRows("there is one group of rows, and none remains without it")
    # (G - 1) / G times the sum of squares is the variance of the jackknife.
    error = (groups - 1) / math.sqrt(groups) * scores.std(ddof=1)
    return float(stdtrit(groups - 1, (1 + CONFIDENCE) / 2) * error)


def share_with_any_rows(rows: Rows, samples: int) -> float:
    """The share of a half width that any number of rows leaves, as `samples` of them are the most.

    It is 0 if there are samples of all rows, and there would be of four times as many: the width
    halves then as if nothing were drawn.
    """
    if rows.population:
        return 1.0
    return math.sqrt(min(1.0, len(rows) / samples)) if 4 * len(rows) > samples else 0.0


def in_threads(function: Callable[[_T], _R], over: Sequence[_T], rows: Rows) -> Iterator[_R]:
    """The function's results in order, from as many threads as the rows allow."""
    if rows.threads == 1:
        for one in over:
            rows.continue_or_stop()
            yield function(one)
        return
    with ThreadPoolExecutor(rows.threads) as pool:
        futures = [pool.submit(function, one) for one in over]
        try:
            for future in futures:
                rows.continue_or_stop()
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _latent(
    mean: Float[np.ndarray, "samples"], log_variance: Float[np.ndarray, "samples"], *, merged: bool
) -> _Latent:
    if not merged:
        order = cell = np.arange(len(mean))
    else:
        level = np.floor(log_variance / LOG_VARIANCE_WIDTH)
        with np.errstate(over="ignore"):
            width = WIDTH * np.exp(0.5 * LOG_VARIANCE_WIDTH * (level + 0.5))
        place = np.floor(mean / width)
        order = np.lexsort((place, level))
        apart = (np.diff(level[order]) != 0) | (np.diff(place[order]) != 0)
        cell = np.r_[0, np.cumsum(apart)]
    with np.errstate(over="ignore"):
        variance = np.exp(log_variance[order])
    return _Latent(order, cell, mean[order], variance)


def _log_density(
    points: Float[np.ndarray, "points"],
    mean: Float[np.ndarray, "samples"],
    variance: Float[np.ndarray, "samples"],
    cell: Int[np.ndarray, "samples"],
) -> Float[np.ndarray, "points"]:
    """log of the mean density of these posteriors, of which those of one cell are merged."""
    from ml.metrics.posterior._log_mixture import log_mixture  # Only who computes waits for numba.

    begins = np.r_[0, np.flatnonzero(np.diff(cell)) + 1]
    sizes = np.diff(np.r_[begins, len(cell)])
    if len(begins) < len(cell):
        # Means from that of the cell's first row, as squares of large means would lose digits.
        away = mean - np.repeat(mean[begins], sizes)
        shift = np.add.reduceat(away, begins) / sizes
        variance = np.add.reduceat(variance + away * away, begins) / sizes - shift * shift
        mean = mean[begins] + shift
    found = np.empty(len(points))
    with np.errstate(divide="ignore", over="ignore"):
        scales, offsets = np.sqrt(0.5 / variance), np.log(sizes) - 0.5 * np.log(variance)
    log_mixture(points[:, None], mean[None], scales[None], offsets, found)
    found -= 0.5 * LOG_2_PI + math.log(len(cell))
    return found
