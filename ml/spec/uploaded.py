"""Uploaded data sets in specs: a name stands for an image table with what is stored of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import ValidationInfo
from pydantic_core import PydanticCustomError

from ml.components.registry import components
from ml.components.spec_errors import UNKNOWN_CHOICE

TABLE = "image_table"
"""The component that opens what is stored of an uploaded data set."""


class Meaning(NamedTuple):
    """What the name of an uploaded data set means."""

    digest: str
    """The digest of what is stored."""
    called: str
    """The name that the data set has now. It had others if it was renamed."""


class Uploaded(ABC):
    """The uploaded data sets that a spec may name. Whoever parses a client's spec knows them."""

    @property
    @abstractmethod
    def names(self) -> Mapping[str, Meaning]:
        """All names, also private and former ones."""

    @property
    @abstractmethod
    def listed(self) -> tuple[str, ...]:
        """The names that are given to somebody who asks for an unknown one."""

    def called(self, digest: str, given: object) -> str | None:
        """The name of what is stored: the given one if it is right, or the first. None if none."""
        found = [one.called for one in self.names.values() if one.digest == digest]
        return given if isinstance(given, str) and given in found else next(iter(found), None)


def meant(value: object, info: ValidationInfo) -> object:
    """A data set's name and params, where an uploaded one's name is replaced by what it means.

    Without `uploaded` in the context of the validation, nothing is replaced.
    """
    uploaded = _uploaded(info)
    if uploaded is None or not isinstance(value, Mapping):
        return value
    name = value.get("name")
    if name == TABLE and isinstance(value.get("stored"), str):
        called = uploaded.called(value["stored"], value.get("called"))
        if called is None:
            expected = "what is stored of an uploaded data set; give its name instead"
            raise _unknown("stored", value["stored"], [], expected)
        return {**value, "called": called}
    if not isinstance(name, str) or name in components("dataset"):
        return value
    if name not in uploaded.names:
        raise _unknown("name", name, [*components("dataset"), *uploaded.listed])
    return {**value, **_of(uploaded.names[name])}


def meant_in_origin(value: object, info: ValidationInfo) -> object:
    """The values of an origin, in which names of uploaded data sets are replaced likewise."""
    if _uploaded(info) is None or not isinstance(value, Mapping):
        return value
    found = dict(value)
    if "dataset" in found:
        whole = found["dataset"]
        found["dataset"] = meant({"name": whole} if isinstance(whole, str) else whole, info)
    if "dataset.name" in found:
        replaced = meant({"name": found.pop("dataset.name")}, info)
        assert isinstance(replaced, Mapping)
        found |= {f"dataset.{param}": one for param, one in replaced.items()}
    return found


def _uploaded(info: ValidationInfo) -> Uploaded | None:
    found = (info.context or {}).get("uploaded")
    return found if isinstance(found, Uploaded) else None


def _of(meaning: Meaning) -> dict[str, Any]:
    return {"name": TABLE, "stored": meaning.digest, "called": meaning.called}


def _unknown(
    below: str, got: object, known: list[str], expected: str | None = None
) -> PydanticCustomError:
    context = {"below": below, "got": got, "known": known, "expected": expected}
    return PydanticCustomError(UNKNOWN_CHOICE, "the name of a data set", context)
