"""Mutual information between binned codes and discrete factors, by counting."""

from __future__ import annotations

import numpy as np

from ml.metric import Rows

MOST_CELLS = 2**24
"""Rows times latents times factors that are counted at once: 128 MB an array."""


def equal_width_bins(values: np.ndarray, n_bins: int) -> np.ndarray:
    """Bin indices 0 to n_bins - 1 of each column, of equal width between its minimum and maximum.

    The edges are numpy.histogram's in the dtype of `values`, the bin is
    `digitize(x, edges[:-1]) - 1`, so that the maximum falls into the last bin; a constant column
    falls into one bin. This is the protocol's discretiser (disentanglement_lib). Unlike numpy's
    own, it also cuts a column whose values differ in their last places only, as those
    of a collapsed encoder do; some of its bins are then empty.
    """
    binned = np.empty(values.shape, dtype=np.int64)
    for column, data in enumerate(values.T):
        edges = _edges(data.astype(np.uint8) if data.dtype == bool else data, n_bins)
        binned[:, column] = np.digitize(data, edges[:-1]) - 1
    return binned


def _edges(data: np.ndarray, n_bins: int) -> np.ndarray:
    low, high = data.min(), data.max()
    if low == high:
        low, high = low - 0.5, high + 0.5
    dtype = np.result_type(low, high, data)
    return np.linspace(low, high, n_bins + 1, dtype=dtype if dtype.kind == "f" else np.float64)


def factor_classes(rows: Rows, n_bins: int) -> np.ndarray:
    """Class indices of each factor: of its values where it is discrete, else of its bins."""
    classes = np.empty(rows.factors.shape, dtype=np.int64)
    for column, kind in enumerate(rows.factor_kinds):
        values = rows.factors[:, column]
        if kind == "discrete":
            classes[:, column] = np.unique(values, return_inverse=True)[1]
        else:
            classes[:, column] = equal_width_bins(values[:, None], n_bins)[:, 0]
    return classes


def class_entropies(classes: np.ndarray) -> np.ndarray:
    """Empirical entropy of each column in nats."""
    return np.array([_entropy(np.bincount(column)) for column in classes.T])


def mutual_information(codes: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Empirical mutual information in nats of every code with every factor, (latents, factors).

    Both are class indices from 0. All pairs are counted by one bincount, or by one for as many
    latents as fit into memory: I = sum p(c, v) log(p(c, v) / (p(c) p(v))).
    """
    at_once = max(1, MOST_CELLS // (codes.shape[0] * max(1, factors.shape[1])))
    parts = range(0, codes.shape[1], at_once)
    return np.concatenate([_information(codes[:, k : k + at_once], factors) for k in parts])


def _information(codes: np.ndarray, factors: np.ndarray) -> np.ndarray:
    samples, latents = codes.shape
    n_factors = factors.shape[1]
    rows, columns = int(codes.max()) + 1, int(factors.max()) + 1
    pair = np.arange(latents * n_factors).reshape(latents, n_factors)
    cell = (pair[None] * rows + codes[:, :, None]) * columns + factors[:, None, :]
    counts = np.bincount(cell.ravel(), minlength=latents * n_factors * rows * columns)
    joint = counts.reshape(latents, n_factors, rows, columns) / samples
    independent = joint.sum(3, keepdims=True) * joint.sum(2, keepdims=True)
    ratio = np.divide(joint, independent, out=np.ones_like(joint), where=joint > 0)
    information: np.ndarray = (joint * np.log(ratio)).sum((2, 3))
    return information.clip(min=0.0)


def _entropy(counts: np.ndarray) -> float:
    p = counts[counts > 0] / counts.sum()
    return float(-(p * np.log(p)).sum())
