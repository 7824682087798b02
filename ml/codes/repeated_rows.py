"""Rows that are one and the same: several times in a file, or trained on and tested on.

A file may hold an image twice, as rows that were drawn with replacement do, or those of an
augmented data set. Such rows are no rows of their own: a predictor that was fitted on one knows the
other by heart, and codes that know nothing then score well on test rows. Nor is it another row
where an encoder saw the image in another batch, and its sums were rounded in another order.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from ml.codes.rows import Rows

OWN_VALUES = 0.5
"""Share of the different rows in which some code must have a value of its own."""
MOST_COPIES = 10
"""Rows to a different row, on average."""
ROUNDING = 1e-5
"""Of a code's deviation: what differs by less in every code, of two at least, may be rounding."""


def blocks(rows: Rows) -> Int[np.ndarray, "samples"]:
    """Which rows are one and the same: a number of each, from 0 in the order of their first rows.

    They are equal in all codes, up to rounding, and in all factors. Codes of few values are equal
    by chance, too, so that repeats count only where some code has a value of its own in at least
    half of the different rows, and these are a tenth of all rows or more; otherwise each row is
    one of its own.
    """
    key = "blocks of equal rows"
    if key not in rows.shared:
        rows.shared[key] = _blocks(rows)
    found: np.ndarray = rows.shared[key]
    return found


def first_rows(block: Int[np.ndarray, "samples"]) -> Int[np.ndarray, "blocks"]:
    """The first row of every block."""
    first: np.ndarray = np.unique(block, return_index=True)[1]
    return first


def trained_on(rows: Rows) -> int:
    """How many test rows stand among the training rows, too."""
    block = blocks(rows)
    return int(np.isin(block[rows.train :], block[: rows.train]).sum())


def _blocks(rows: Rows) -> np.ndarray:
    factors = _bytes(rows.factors)
    numbers = _by_rounding(rows.codes, _numbered(factors))
    if numbers is None:
        numbers = _numbered(_bytes(rows.codes), factors)
        values = max(len(np.unique(code)) for code in rows.codes.T)
        if not _meant(numbers, values):
            return np.arange(len(rows))
    return numbers


def _meant(numbers: np.ndarray, values: int) -> bool:
    """Whether so many rows stand several times, and not by chance: see `blocks`."""
    rows, different = len(numbers), int(numbers.max()) + 1
    return (
        different not in (rows, 1)
        and different * MOST_COPIES >= rows
        and values >= OWN_VALUES * different
    )


def _by_rounding(codes: np.ndarray, factors: np.ndarray) -> np.ndarray | None:
    """Numbers of rows that are equal up to rounding, or None where such rows are not meant.

    In the order of one code such rows are neighbours, but for the few that another comes between.
    """
    deviations = codes.astype(np.float64).std(0)
    if codes.dtype.kind != "f" or (varying := deviations > 0).sum() < 2:
        return None
    scaled = codes[:, varying].astype(np.float64) / deviations[varying]
    values = [1 + int((np.diff(np.sort(code)) > ROUNDING).sum()) for code in scaled.T]
    finest = int(np.argmax(values))
    # By factors first, then by the code of the most values, then by the others.
    order = np.lexsort([*np.delete(scaled, finest, axis=1).T, scaled[:, finest], factors])
    apart = (np.abs(np.diff(scaled[order], axis=0)) > ROUNDING).any(1)
    apart |= np.diff(factors[order]) != 0
    found = np.empty(len(codes), dtype=np.int64)
    found[order] = np.r_[0, np.cumsum(apart)]
    _, first, numbers = np.unique(found, return_index=True, return_inverse=True)
    # In the order of their first rows.
    numbers = np.argsort(np.argsort(first))[numbers]
    return numbers if _meant(numbers, values[finest]) else None


def _bytes(columns: np.ndarray) -> np.ndarray:
    # Zeros of either sign are equal.
    plain = np.ascontiguousarray(columns + 0 if columns.dtype.kind == "f" else columns)
    return plain.view(np.uint8).reshape(len(plain), columns.shape[1] * columns.dtype.itemsize)


def _numbered(*parts: np.ndarray) -> np.ndarray:
    """Equal rows of bytes have equal numbers, given as they come."""
    known: dict[bytes, int] = {}
    joined = np.ascontiguousarray(np.concatenate(parts, axis=1))
    return np.array([known.setdefault(row.tobytes(), len(known)) for row in joined])
