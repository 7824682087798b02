"""What of a component is its numbers, and what its structure."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import Field, PrivateAttr

from ml.components.component import Component
from ml.components.registry import components

KINDS = ("objective", "optimizer", "schedule")


class Example(Component):
    """A component of every kind of parameter."""

    kind: ClassVar[str] = "example"
    structural: ClassVar[frozenset[str]] = frozenset({"slope"})
    name: Literal["example"] = "example"
    weight: float = 2.0
    bounded: Annotated[float, Field(ge=0)] | None = None
    betas: tuple[Annotated[float, Field(ge=0)], float] = (0.1, 0.2)
    rates: tuple[float, ...] = (1.0,)
    slope: float = 0.2
    layers: int = 3
    flag: bool = True
    mode: Literal["a", "b"] = "a"
    _seen: list[float] = PrivateAttr(default_factory=list)

    @cached_property
    def doubled(self) -> float:
        return 2 * self.weight

    def model_post_init(self, context: Any) -> None:
        self._seen.append(self.weight)


def test_real_numbers_are_told_from_all_else() -> None:
    assert Example.real_params() == {"weight", "bounded", "betas", "rates"}


@pytest.mark.parametrize("numbers", [{"weight": 7.0}, {"betas": (0.5, 0.6)}, {"rates": (3.0,)}])
def test_other_numbers_are_the_same_structure(numbers: dict[str, Any]) -> None:
    assert Example(**numbers).structure() == Example().structure()


@pytest.mark.parametrize(
    "others",
    [
        {"layers": 4},
        {"flag": False},
        {"mode": "b"},
        {"slope": 0.3},
        # Whether there is a number, and how many, is no number.
        {"bounded": 1.0},
        {"rates": (1.0, 2.0)},
    ],
)
def test_all_else_is_structure(others: dict[str, Any]) -> None:
    assert Example(**others).structure() != Example().structure()


def test_without_numbers_nothing_is_left_of_them() -> None:
    full = Example(weight=5.0, bounded=1.0)
    assert full.doubled == 10.0
    blank = full.without_numbers()
    assert math.isnan(blank.weight)
    assert blank.bounded is not None and math.isnan(blank.bounded)
    assert all(math.isnan(value) for value in (*blank.betas, *blank.rates))
    # Nor of what was made of them.
    assert math.isnan(blank.doubled)
    assert all(math.isnan(value) for value in blank._seen)
    assert (blank.slope, blank.layers, blank.flag, blank.mode) == (0.2, 3, True, "a")
    assert Example().without_numbers().bounded is None


ALL = [(kind, name) for kind in KINDS for name in components(kind)]


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_every_component_has_no_number_left(kind: str, name: str) -> None:
    component = components(kind)[name]
    blank = component.model_validate({"name": name}).without_numbers()
    left = [
        value
        for field in component.model_fields
        for value in _flat(getattr(blank, field))
        if isinstance(value, float) and not math.isnan(value)
    ]
    assert left == []


def _flat(value: Any) -> list[Any]:
    return list(value) if isinstance(value, tuple) else [value]
