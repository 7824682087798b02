"""Arrays from outside, checked before metrics see them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ml.codes.rows import EXACT, FactorKind, Posteriors, Rows, UnusableRows

LARGEST = 1e150
"""The square of a larger number is beyond what float64 holds."""


def rows_of(
    codes: np.ndarray,
    factors: np.ndarray,
    *,
    seed: int = 0,
    train_rows: int | None = None,
    posterior_logvar: np.ndarray | None = None,
    posterior_sample: np.ndarray | None = None,
    factor_names: Sequence[str] | None = None,
    factor_sizes: Sequence[int] | None = None,
    factor_kinds: Sequence[FactorKind] | None = None,
    code_names: Sequence[str] | None = None,
) -> Rows:
    """Rows for metrics from checked arrays. The parameters are those of `score`.

    Raises:
        UnusableRows: an array cannot be scored. The message names the fault and its column or row.
    """
    codes, factors = _plain("codes", codes), _plain("factors", factors)
    _check("codes", codes)
    _check("factors", factors)
    _check_exact(codes)
    if len(codes) != len(factors):
        raise UnusableRows(f"{len(codes)} rows of codes but {len(factors)} rows of factors")
    if len(codes) < 2:
        raise UnusableRows("a single row cannot be scored; give at least two")
    columns = factors.shape[1]
    names = (
        tuple(map(str, factor_names))
        if factor_names is not None
        else tuple(f"factor_{k}" for k in range(columns))
    )
    kind: FactorKind = "continuous" if factors.dtype.kind == "f" else "discrete"
    kinds = tuple(factor_kinds) if factor_kinds is not None else (kind,) * columns
    for what, given in (("factor_names", names), ("factor_kinds", kinds)):
        if len(given) != columns:
            raise UnusableRows(f"{len(given)} {what} for {columns} columns of factors")
    for name in names:
        if names.count(name) > 1:
            raise UnusableRows(f"two columns of factors are called {name!r}")
    for given in kinds:
        if given not in ("discrete", "continuous"):
            raise UnusableRows(f"factor_kinds are discrete or continuous, got {str(given)!r}")
    called = tuple(map(str, code_names)) if code_names is not None else None
    if called is not None and len(called) != codes.shape[1]:
        raise UnusableRows(f"{len(called)} code_names for {codes.shape[1]} columns of codes")
    train = math.ceil(0.75 * len(codes)) if train_rows is None else train_rows
    if not isinstance(train, int | np.integer) or not 0 < train <= len(codes):
        raise UnusableRows(f"train_rows must be 1 to {len(codes)}, got {train}")
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise UnusableRows(f"seed must be an integer from 0, got {seed}")
    if factor_sizes is not None and len(factor_sizes) != columns:
        raise UnusableRows(f"{len(factor_sizes)} factor_sizes for {columns} columns of factors")
    kl, posteriors = None, None
    if posterior_sample is not None and posterior_logvar is None:
        raise UnusableRows("posterior_sample is of use only beside posterior_logvar")
    if posterior_logvar is not None:
        log_variance = _of_posterior("posterior_logvar", posterior_logvar, codes.shape)
        sample = (
            None
            if posterior_sample is None
            else _of_posterior("posterior_sample", posterior_sample, codes.shape)
        )
        # Half precision cannot hold the square of 256.
        mean, wide = codes.astype(np.float64), log_variance.astype(np.float64)
        with np.errstate(over="ignore"):
            kl = 0.5 * (mean**2 + np.exp(wide) - wide - 1)
        posteriors = Posteriors(codes, log_variance, sample)
    return Rows(
        codes,
        factors,
        names,
        kinds,
        int(train),
        int(seed),
        kl,
        posteriors=posteriors,
        factor_sizes=None if factor_sizes is None else tuple(map(int, factor_sizes)),
        code_names=called,
    )


def _of_posterior(what: str, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    values = _plain(what, values)
    _check(what, values)
    if values.shape != shape:
        raise UnusableRows(f"{what} must have the codes' shape {shape}, got {values.shape}")
    return values


def _plain(what: str, values: np.ndarray) -> np.ndarray:
    if np.ma.is_masked(values):
        raise UnusableRows(f"{what} has masked values; leave their rows out, or fill them")
    return np.asarray(values)


def _check(what: str, values: np.ndarray) -> None:
    if values.ndim != 2 or 0 in values.shape:
        raise UnusableRows(f"{what} must be (samples, columns), got shape {values.shape}")
    if values.dtype.kind not in "iufb" or values.dtype.itemsize > 8:
        raise UnusableRows(f"{what} must be numbers, got dtype {values.dtype}")
    finite = np.isfinite(values)
    bad = np.flatnonzero(~finite.all(axis=0))
    if bad.size:
        column = int(bad[0])
        row = int(np.flatnonzero(~finite[:, column])[0])
        raise UnusableRows(
            f"{what} has NaN or infinite values in column {column}, first in row {row}"
        )
    if values.dtype.kind == "f" and values.dtype.itemsize == 8:
        large = np.flatnonzero((np.abs(values) > LARGEST).any(axis=0))
        if large.size:
            raise UnusableRows(
                f"{what} has values beyond {LARGEST:g} in column {int(large[0])}; rescale it"
            )


def _check_exact(codes: np.ndarray) -> None:
    """Raise `UnusableRows` if codes are integers that float64 rounds. Factors may be any."""
    if codes.dtype.kind not in "iu" or codes.dtype.itemsize < 8:
        return
    large = np.flatnonzero((codes.max(0) > EXACT) | (codes.min(0) < -EXACT))
    if large.size:
        raise UnusableRows(
            f"codes has integers beyond 2^53 in column {int(large[0])}, which float64 rounds;"
            " subtract what they have in common, or leave the column out if it is an id"
        )
