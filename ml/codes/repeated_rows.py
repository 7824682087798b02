"""Repeated rows: rows that stand several times in a file, or among training and test rows.

A file may hold an image twice, for instance if rows were drawn with replacement or the data set was
augmented. Repeats are not independent. A predictor that was fitted on one row knows its repeat by
heart, and codes that know nothing of the factors then score well on test rows. A row is a repeat
even if an encoder saw the image in another batch, where its sums were rounded in another order.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from ml.codes.rows import Rows

OWN_VALUES = 0.5
"""Some code must have at least this many different values, as a share of the different rows."""
MOST_COPIES = 10
"""Most rows for each different row, on average."""
ROUNDING = 1e-5
"""Share of a code's deviation. Rows that differ by less in each of two or more codes may differ by
rounding alone."""


def blocks(rows: Rows) -> Int[np.ndarray, "samples"]:
    """The block of each row, where repeats of one row form a block.

    Blocks are numbered from 0 in the order of their first rows. The rows of a block are equal in
    all factors, and in all codes up to rounding. Codes of few values are equal by chance, too. So
    repeats count only if some code has at least half as many values as there are different rows,
    and the different rows are a tenth of all rows or more. Otherwise each row is its own block.
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
    """How many test rows are repeats of training rows."""
    block = blocks(rows)
    return int(np.isin(block[rows.train :], block[: rows.train]).sum())


def _blocks(rows: Rows) -> np.ndarray:
    if rows.population:
        # No two rows of a complete grid have the same factors.
        return np.arange(len(rows))
    factors = _bytes(rows.factors)
    numbers = _by_rounding(rows.codes, _numbered(factors))
    if numbers is None:
        numbers = _numbered(_bytes(rows.codes), factors)
        values = max(len(np.unique(code)) for code in rows.codes.T)
        if not _meant(numbers, values):
            return np.arange(len(rows))
    return numbers


def _meant(numbers: np.ndarray, values: int) -> bool:
    """Whether rows repeat by more than chance (see `blocks`)."""
    rows, different = len(numbers), int(numbers.max()) + 1
    return (
        different not in (rows, 1)
        and different * MOST_COPIES >= rows
        and values >= OWN_VALUES * different
    )


def _by_rounding(codes: np.ndarray, factors: np.ndarray) -> np.ndarray | None:
    """Block numbers of rows that are equal up to rounding, or None if repeats are due to chance.

    If rows are sorted by one code, such rows are neighbours, except in the few cases where another
    row comes between them.
    """
    deviations = codes.astype(np.float64).std(0)
    if codes.dtype.kind != "f" or (varying := deviations > 0).sum() < 2:
        return None
    scaled = codes[:, varying].astype(np.float64) / deviations[varying]
    values = [1 + int((np.diff(np.sort(code)) > ROUNDING).sum()) for code in scaled.T]
    finest = int(np.argmax(values))
    # Sort by factors first, then by the code with the most values, then by the others.
    order = np.lexsort([*np.delete(scaled, finest, axis=1).T, scaled[:, finest], factors])
    apart = (np.abs(np.diff(scaled[order], axis=0)) > ROUNDING).any(1)
    apart |= np.diff(factors[order]) != 0
    found = np.empty(len(codes), dtype=np.int64)
    found[order] = np.r_[0, np.cumsum(apart)]
    _, first, numbers = np.unique(found, return_index=True, return_inverse=True)
    # Renumber the blocks in the order of their first rows.
    numbers = np.argsort(np.argsort(first))[numbers]
    return numbers if _meant(numbers, values[finest]) else None


def _bytes(columns: np.ndarray) -> np.ndarray:
    # Adding 0 makes zeros of either sign equal.
    plain = np.ascontiguousarray(columns + 0 if columns.dtype.kind == "f" else columns)
    return plain.view(np.uint8).reshape(len(plain), columns.shape[1] * columns.dtype.itemsize)


def _numbered(*parts: np.ndarray) -> np.ndarray:
    """A number for each row of bytes, equal for equal rows, in the order of first occurrence."""
    known: dict[bytes, int] = {}
    joined = np.ascontiguousarray(np.concatenate(parts, axis=1))
    return np.array([known.setdefault(row.tobytes(), len(known)) for row in joined])
