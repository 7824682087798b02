from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar

import pytest
from pydantic import BaseModel, ConfigDict, Field

from ml.components.described import Described, descriptions

T = TypeVar("T")


class ByPydantic(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)


class Inner(BaseModel):
    """What an inner model is."""

    one: int = 1


class Plain(Described):
    first: int
    """The first.

        Indented, and "quoted".
    """
    second: Annotated[str, Field(max_length=3)] = "a"
    "A docstring of one quote."
    bare: float = 0.0
    told: int = Field(0, description="Its own description.")
    """A docstring that counts for less."""
    inner: Inner = Inner()
    """A field whose type has a description, too."""

    class Nested(Described):
        first: int
        """The first of another class."""

    def method(self) -> None:
        local: int = 0
        """No field."""
        del local


class Later(Plain):
    """Overrides what was described."""

    bare: float = 1.0
    """Described at last."""
    first: int = 3
    kind: Literal["later"] = "later"
    """A kind."""


class Of(Described, Generic[T]):
    items: list[T]
    """What it is of."""


class _PydanticsPlain(ByPydantic):
    first: int
    """The first.

        Indented, and "quoted".
    """
    second: Annotated[str, Field(max_length=3)] = "a"
    "A docstring of one quote."
    bare: float = 0.0
    told: int = Field(0, description="Its own description.")
    """A docstring that counts for less."""
    inner: Inner = Inner()
    """A field whose type has a description, too."""


class _PydanticsLater(_PydanticsPlain):
    """Overrides what was described."""

    bare: float = 1.0
    """Described at last."""
    first: int = 3
    kind: Literal["later"] = "later"
    """A kind."""


class _PydanticsOf(ByPydantic, Generic[T]):
    items: list[T]
    """What it is of."""


@pytest.mark.parametrize("mode", ["validation", "serialization"])
@pytest.mark.parametrize(
    ("ours", "pydantics"),
    [
        (Plain, _PydanticsPlain),
        (Later, _PydanticsLater),
        (Of[Plain], _PydanticsOf[_PydanticsPlain]),
    ],
)
def test_a_schema_is_that_of_pydantics_own_reading(
    ours: type[BaseModel], pydantics: type[BaseModel], mode: Any
) -> None:
    def schema(model: type[BaseModel]) -> str:
        found = model.model_json_schema(mode=mode)
        return str(found).replace("_Pydantics", "")

    assert schema(ours) == schema(pydantics)
    assert "description" in schema(ours)


def test_a_class_within_a_class_or_a_function_has_its_own_descriptions() -> None:
    class Local(Described):
        first: int
        """The first of a local class."""

    assert descriptions(Local) == {"first": "The first of a local class."}
    assert descriptions(Plain.Nested) == {"first": "The first of another class."}


def test_a_class_without_source_has_no_descriptions() -> None:
    names: dict[str, Any] = {"Described": Described, "__name__": "typed in"}
    exec("class Typed(Described):\n    a: int\n    'About a.'\n", names)
    assert descriptions(names["Typed"]) == {}
