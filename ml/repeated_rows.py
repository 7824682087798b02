"""Rows that are one and the same: several times in a file, or trained on and tested on.

A file may hold an image twice, as rows that were drawn with replacement do, or those of an
augmented data set. Such rows are no rows of their own: a predictor that was fitted on one knows the
other by heart, and codes that know nothing then score well on test rows.
"""

from __future__ import annotations

import numpy as np

from ml.rows import Rows

OWN_VALUES = 0.5
"""Share of the different rows in which some code must have a value of its own."""
MOST_COPIES = 10
"""Rows to a different row, on average."""


def blocks(rows: Rows) -> np.ndarray:
    """Which rows are one and the same: a number of each, from 0 in the order of their first rows.

    They are equal in all codes and factors. Codes of few values are equal by chance, too, so that
    repeats count only where some code has a value of its own in at least half of the different
    rows, and these are a tenth of all rows or more; otherwise each row is one of its own.
    """
    key = "blocks of equal rows"
    if key not in rows.shared:
        rows.shared[key] = _blocks(rows)
    found: np.ndarray = rows.shared[key]
    return found


def first_rows(block: np.ndarray) -> np.ndarray:
    """The first row of every block."""
    first: np.ndarray = np.unique(block, return_index=True)[1]
    return first


def trained_on(rows: Rows) -> int:
    """How many test rows stand among the training rows, too."""
    block = blocks(rows)
    return int(np.isin(block[rows.train :], block[: rows.train]).sum())


def _blocks(rows: Rows) -> np.ndarray:
    alone = np.arange(len(rows))
    numbers = _numbered(_bytes(rows.codes), _bytes(rows.factors))
    different = int(numbers.max()) + 1
    if different in (len(rows), 1) or different * MOST_COPIES < len(rows):
        return alone
    values = max(len(np.unique(code)) for code in rows.codes.T)
    return numbers if values >= OWN_VALUES * different else alone


def _bytes(columns: np.ndarray) -> np.ndarray:
    # Zeros of either sign are equal.
    plain = np.ascontiguousarray(columns + 0 if columns.dtype.kind == "f" else columns)
    return plain.view(np.uint8).reshape(len(plain), columns.shape[1] * columns.dtype.itemsize)


def _numbered(*parts: np.ndarray) -> np.ndarray:
    """Equal rows of bytes have equal numbers, given as they come."""
    known: dict[bytes, int] = {}
    joined = np.ascontiguousarray(np.concatenate(parts, axis=1))
    return np.array([known.setdefault(row.tobytes(), len(known)) for row in joined])
