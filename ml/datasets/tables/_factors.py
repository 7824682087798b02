"""What the columns of a table are: discrete or continuous factors, numbered and named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ml.components.registry import nearest
from ml.components.spec_errors import Fault, shown
from ml.datasets.dataset import UNKNOWN, FactorKind
from ml.datasets.tables._columns import NUMBER, of_cells
from ml.datasets.tables._sources import natural
from ml.datasets.tables.options import UnusableTable, unusable

_COUNTERS = ("", "index", "id", "idx", "unnamed: 0", "row")
MANY_CLASSES = 0.5
"""A discrete factor with more values than this share of its rows may be no factor."""


class Factor(NamedTuple):
    """One factor of all images."""

    name: str
    kind: FactorKind
    values: NDArray[Any]
    """Numbers of the values, int64 from 0, or floats. `UNKNOWN` or NaN are not known."""
    size: int
    names: tuple[str, ...]
    """The names of a discrete factor's values; empty if they are 0, 1, 2, …"""


class Understood(NamedTuple):
    """The factors, and what was made of the columns."""

    factors: list[Factor]
    taken: list[str]
    odd: list[str]


def understood(columns: Mapping[str, NDArray[Any]], kinds: Mapping[str, FactorKind]) -> Understood:
    """The factors that columns hold.

    Raises:
        UnusableTable: `kinds` does not fit the columns, or a column has infinite numbers.
    """
    unknown = [name for name in kinds if name not in columns]
    if unknown:
        known = "one of " + ", ".join(columns) if columns else "none, as there are no factors"
        raise UnusableTable(
            [Fault(f"kinds.{shown(n)}", shown(n), known, nearest(n, columns)) for n in unknown]
        )
    found = Understood([], [], [])
    for name, column in columns.items():
        if _counts_rows(name, column) and name not in kinds:
            found.taken.append(f"{name or 'a nameless column'}: left out, as it counts the rows")
            continue
        if not name:
            raise unusable("factors", "a column without a name", "a name for each column")
        factor, how = _factor(name, column, kinds.get(name))
        found.factors.append(factor)
        found.taken.append(f"{name}: {how}")
        found.odd.extend(_odd(factor))
        texts = [one for one in factor.names if not NUMBER.fullmatch(one)]
        if factor.kind == "discrete" and 0 < len(texts) < len(factor.names):
            found.odd.append(
                f"{name} has numbers and text, as {shown(texts[0])}, so all were taken as text"
            )
    return found


def _counts_rows(name: str, column: NDArray[Any]) -> bool:
    if name.lower() not in _COUNTERS or column.dtype.kind == "U" or len(column) < 2:
        return False
    first = column[0]
    return bool(first in (0, 1) and np.array_equal(column, first + np.arange(len(column))))


def _factor(name: str, column: NDArray[Any], kind: FactorKind | None) -> tuple[Factor, str]:
    if column.dtype.kind == "U":
        # Folder names and value names may all be numbers.
        column = of_cells(name, column.tolist())
    if column.dtype.kind == "U":
        if kind == "continuous":
            given = next(cell for cell in column.tolist() if not NUMBER.fullmatch(cell))
            expected = f"discrete, as {shown(given)} is text"
            raise unusable(f"kinds.{shown(name)}", "continuous", expected)
        return _of_text(name, column)
    if np.isinf(column).any():
        raise unusable(f"factors.{shown(name)}", "an infinite number", "finite numbers")
    known = ~np.isnan(column)
    occurring, numbers = np.unique(column[known], return_inverse=True)
    whole = bool((occurring == np.round(occurring)).all())
    if kind == "continuous" or (kind is None and not whole):
        why = "as asked" if kind else "as they are not all whole"
        how = f"{len(occurring)} different numbers, taken as continuous {why}"
        return Factor(name, "continuous", column, len(occurring), ()), how
    values = np.full(len(column), UNKNOWN, dtype=np.int64)
    values[known] = numbers
    counted = np.array_equal(occurring, np.arange(len(occurring)))
    names = () if counted else tuple(_shown_number(value) for value in occurring)
    why = "as asked" if kind else "as they are whole"
    how = f"{len(occurring)} different numbers, taken as discrete {why}"
    return Factor(name, "discrete", values, len(occurring), names), how


def _of_text(name: str, column: NDArray[Any]) -> tuple[Factor, str]:
    cells = column.tolist()
    names = tuple(sorted({cell for cell in cells if cell}, key=natural))
    number = {cell: k for k, cell in enumerate(names)}
    values = np.array([number.get(cell, UNKNOWN) for cell in cells], dtype=np.int64)
    how = f"{len(names)} different texts, taken as discrete"
    return Factor(name, "discrete", values, len(names), names), how


def _shown_number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(float(value))


def _odd(factor: Factor) -> list[str]:
    discrete = factor.kind == "discrete"
    unknown = int((factor.values == UNKNOWN).sum() if discrete else np.isnan(factor.values).sum())
    known = len(factor.values) - unknown
    found = []
    if unknown:
        found.append(f"{factor.name} is not known for {unknown} of {len(factor.values)} images")
    if factor.size == 1:
        found.append(f"{factor.name} has a single value, so scores leave it out")
    if factor.size == 0:
        found.append(f"{factor.name} is known for no image")
    if discrete and factor.size > 1:
        if factor.size > MANY_CLASSES * known:
            found.append(
                f"{factor.name} has {factor.size} values in {known} images, so it may be no factor"
            )
        once = int((np.bincount(factor.values[factor.values >= 0]) == 1).sum())
        if once and factor.size <= MANY_CLASSES * known:
            found.append(f"{once} of the {factor.size} values of {factor.name} occur only once")
    return found
