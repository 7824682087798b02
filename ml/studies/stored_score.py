"""Scores as they are stored for tables of many runs: what they have in common, and their numbers.

Of sixty thousand scores each is made when it is looked at, and no sooner. What a thousand of them
have in common is one `Score`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, overload

from ml.metrics.protocol import NullDistribution, Score


class StoredScore:
    """A score of many."""

    __slots__ = ("_numbers", "like", "value")

    def __init__(self, like: Score, numbers: str) -> None:
        """`numbers` is the JSON array [value, error, null, ci95] as text."""
        self.like = like
        """All but the numbers. It is one object for many scores."""
        self.value = _first(numbers)
        self._numbers = numbers

    @property
    def error(self) -> str | None:
        """Why there is no value."""
        found: str | None = self._rest()[1]
        return found

    @property
    def null(self) -> NullDistribution | None:
        found = self._rest()[2]
        return None if found is None else NullDistribution.model_validate(found)

    @property
    def ci95(self) -> tuple[float, float] | None:
        found = self._rest()[3]
        return None if found is None else (float(found[0]), float(found[1]))

    def _rest(self) -> list[Any]:
        rest: list[Any] = json.loads(self._numbers)
        return rest


class StoredScores(Sequence[StoredScore]):
    """The scores of an evaluation. Each is made when it is looked at."""

    __slots__ = ("_numbers", "alike")

    def __init__(self, alike: tuple[Score, ...], numbers: str) -> None:
        """`numbers` has a line for each score."""
        self.alike = alike
        """All but the numbers of each. It is one object for the evaluations of many runs."""
        self._numbers = numbers

    def values(self) -> list[float | None]:
        """The value of each score."""
        return [_first(numbers) for numbers in self._numbers.split("\n")]

    def half_widths(self) -> list[float | None]:
        """Half the 95 % interval of each score; None where it has none."""
        return [_half_width(numbers) for numbers in self._numbers.split("\n")]

    def __len__(self) -> int:
        return len(self.alike)

    @overload
    def __getitem__(self, place: int) -> StoredScore: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[StoredScore]: ...

    def __getitem__(self, place: int | slice) -> StoredScore | Sequence[StoredScore]:
        lines = self._numbers.split("\n")
        if isinstance(place, slice):
            found = zip(self.alike[place], lines[place], strict=True)
            return [StoredScore(one, numbers) for one, numbers in found]
        return StoredScore(self.alike[place], lines[place])


def _first(numbers: str) -> float | None:
    # It is a number or null, so that the first comma ends it.
    value = numbers[1 : numbers.index(",")]
    return None if value == "null" else float(value)


def _half_width(numbers: str) -> float | None:
    # The interval ends the array, and no bracket is within it.
    if numbers.endswith("null]") or (value := _first(numbers)) is None:
        return None
    low, high = numbers[numbers.rindex("[") + 1 : -2].split(",")
    return half_width(value, float(low), float(high))


def half_width(value: float, low: float, high: float) -> float:
    """Half the interval of a value."""
    # An end that is cut to the number's range is nearer than the other.
    return max(value - low, high - value)


def like(score: Score | StoredScore) -> Score:
    """The score from which to read all but its numbers."""
    return score.like if isinstance(score, StoredScore) else score
