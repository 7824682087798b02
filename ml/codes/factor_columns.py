"""One column of factors in a file: its values, its kind, and what was assumed of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Real, Shaped

from ml.codes.rows import EXACT, FactorKind

MOST_CLASSES = 1000
ROWS_A_CLASS = 4
"""Floating numbers that are integers are classes if they take at most `MOST_CLASSES` values, each
on at least `ROWS_A_CLASS` rows on average."""

MOST_SHARDS, LEAST_SHARD = 10, 50
"""A column counts rows if it is one index, or at most `MOST_SHARDS` indices one after another of at
least `LEAST_SHARD` rows on average. The factors of a grid have fewer values (40 orientations in
dSprites), or begin again more often."""

MISSING = frozenset(
    ("", "na", "n/a", "nan", "-nan", "null", "none", "nil", "#n/a", "<na>", "nat", "#na")
)
"""Texts that mark a missing value, in small letters."""

_INTEGER = r"^[+-]?[0-9]+$"
_DATE = r"^\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ].*)?$"
_ALMOST = r"^[+-]?[0-9][0-9]*([.,'%][0-9]*)+$"


class UnusableColumn(ValueError):
    """A column of factors cannot be read without ambiguity. The message says why."""


@dataclass(frozen=True)
class FactorColumn:
    """The values of a factor, one number for each row."""

    values: Shaped[np.ndarray, "samples"]
    """The dtype is int64 or floating."""
    kind: FactorKind
    note: str | None = None
    """What was assumed of its kind, if the file leaves that open."""

    @property
    def few(self) -> bool:
        """Whether it takes so few values that they may be classes."""
        return self.kind == "discrete" or _few(self.values)


def column_of_numbers(
    values: Shaped[np.ndarray, "samples"], said: FactorKind | None = None
) -> FactorColumn:
    """A factor from numbers. Its kind is `said`, or else follows the rule for files.

    By that rule integers and truth values are classes. Floating numbers are classes if all are
    integers and they take few values. Others are continuous.

    Raises:
        UnusableColumn: the numbers would be classes, but are too large for their dtype to
            distinguish neighbours.
    """
    if values.dtype.kind in "iub":
        return FactorColumn(_exact(values), said or "discrete")
    integral = bool((values == np.floor(values)).all())
    number = len(np.unique(values))
    few = _few(values, number)
    if integral and few and said != "continuous":
        exact = 2 ** (np.finfo(values.dtype).nmant + 1)
        if (largest := float(np.abs(values).max())) > exact:
            raise UnusableColumn(
                f"has {largest:.0f} among classes in {values.dtype}, which holds integers up to"
                f" {exact} only, so that classes may have merged; save them as integers or text"
            )
    if said is not None:
        return FactorColumn(values, said)
    if integral and few:
        note = f"its floating numbers are integers of {number} values, taken as classes"
        return FactorColumn(values, "discrete", note)
    if integral:
        note = f"its floating numbers are integers, but of {number} values: taken as continuous"
        return FactorColumn(values, "continuous", note)
    if few:
        note = f"its {number} values are no integers: taken as continuous"
        return FactorColumn(values, "continuous", note)
    return FactorColumn(values, "continuous")


def is_missing(texts: Any) -> Any:
    """Which texts mark a missing value. The texts have no blanks around them."""
    return pc.is_in(pc.utf8_lower(texts), value_set=_missing())


@cache
def _missing() -> Any:
    # pyarrow imports pandas here, where it is installed.
    return pa.array(sorted(MISSING))


def column_of_labels(texts: Any, said: FactorKind | None = None) -> FactorColumn:
    """A factor from texts, each a class, numbered in alphabetical order. `texts` has no nulls."""
    coded = texts.dictionary_encode()
    places = np.argsort(np.array(coded.dictionary.to_pylist(), dtype=object), kind="stable")
    ranks = np.empty(len(places), dtype=np.int64)
    ranks[places] = np.arange(len(places))
    values = ranks[coded.indices.to_numpy(zero_copy_only=False)]
    if said == "continuous":
        note = "its text is numbered in alphabetical order, as it is said to be continuous"
        return FactorColumn(values, said, note)
    return FactorColumn(values, "discrete")


def column_of_text(texts: Any, said: FactorKind | None = None) -> FactorColumn:
    """A factor from cells of text that may be numbers, as in CSV. `texts` has no nulls.

    Raises:
        UnusableColumn: some cells are numbers and some are not, or all are dates or some look
            like numbers with marks, and `said` does not say that they are classes.
    """
    # Each different text is parsed once, as many rows have few labels.
    coded = texts.dictionary_encode()
    distinct, places = coded.dictionary, coded.indices.to_numpy(zero_copy_only=False)
    numbers = numbers_of_text(distinct)
    if numbers is not None:
        return column_of_numbers(numbers[places], said)
    if bool(pc.all(pc.match_substring_regex(distinct, _INTEGER)).as_py()):
        # They are too large for 64 bits, but exact as Python's integers.
        try:
            whole = [int(text) for text in distinct.to_pylist()]
        except ValueError:
            raise UnusableColumn("has integers of more than 4,300 digits") from None
        rank = {value: place for place, value in enumerate(sorted(set(whole)))}
        return FactorColumn(np.array([rank[value] for value in whole])[places], said or "discrete")
    if said != "discrete":
        if any(_is_number(text) for text in distinct.to_pylist()):
            raise UnusableColumn(
                f"has {_first_text(texts)} beside numbers; leave such rows out, or say that its"
                " values are classes"
            )
        if bool(pc.all(pc.match_substring_regex(distinct, _DATE)).as_py()):
            raise UnusableColumn(f"has dates, as {distinct[0]}, expected numbers or text")
        almost = pc.match_substring_regex(distinct, _ALMOST)
        if bool(pc.any(almost).as_py()):
            raise UnusableColumn(
                f"has {distinct.filter(almost)[0]}, which looks like a number but is none; write"
                " numbers without marks for thousands, or say that its values are classes"
            )
    return column_of_labels(texts, said)


def numbers_of_text(texts: Any) -> Real[np.ndarray, "samples"] | None:
    """Cells of text as int64 or float64, or None if a cell is no such number."""
    if bool(pc.any(pc.starts_with(texts, "+")).as_py()):
        texts = pc.replace_substring_regex(texts, r"^\+([0-9.])", r"\1")
    # Look at the first cell before the cast to int64, as a cast that fails may read all cells.
    if len(texts) and re.match(_INTEGER, texts[0].as_py()):
        try:
            integers: np.ndarray = texts.cast(pa.int64()).to_numpy(zero_copy_only=False)
            return integers
        except pa.ArrowInvalid:
            pass
    try:
        numbers: np.ndarray = texts.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        return None
    if np.abs(numbers).max(initial=0) >= EXACT and bool(
        pc.all(pc.match_substring_regex(texts, _INTEGER)).as_py()
    ):
        return None
    return numbers


def counts_rows(values: Shaped[np.ndarray, "samples"]) -> bool:
    """Whether a column is an index, which counts up by one and may begin again in each shard.

    Columns of a grid count as well, but begin again more often, or do not count as far.
    """
    again = np.flatnonzero(np.diff(values) != 1) + 1
    shards = len(again) + 1
    is_long = shards == 1 or (shards <= MOST_SHARDS and len(values) >= LEAST_SHARD * shards)
    return is_long and bool((values[again] == values[0]).all())


def _exact(values: np.ndarray) -> np.ndarray:
    """Integers as int64. Those that float64 would round are replaced by their ranks."""
    if values.dtype.kind != "b" and (values.max() > EXACT or values.min() < -EXACT):
        values = np.unique(values, return_inverse=True)[1]
    return values.astype(np.int64)


def _few(values: np.ndarray, number: int | None = None) -> bool:
    number = len(np.unique(values)) if number is None else number
    return number <= MOST_CLASSES and number * ROWS_A_CLASS <= len(values)


def _first_text(texts: Any) -> str:
    for row, text in enumerate(texts.to_pylist()):
        if not _is_number(text):
            return f"{text!r} in row {row} (rows count from 0)"
    return "text"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text
