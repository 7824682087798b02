"""Faults of a spec, described so that the client can fix them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ml.components.component import Component
from ml.components.registry import nearest

M = TypeVar("M", bound=BaseModel)

LONGEST_SHOWN = 200
MOST_FAULTS = 20
"""Faults reported at once. Clients who fix these learn of the others when they try again."""

UNKNOWN_CHOICE = "unknown_choice"
"""The type of an error that a validator raises for an unknown name within an object.

Its context has the field `below` the object, what it `got`, the `known` names, and what was
`expected` if it is not one of these names.
"""

_TYPES = {
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "a name, or an object that has one",
    "list_type": "a list",
    "tuple_type": "a list",
    "string_type": "text",
}
"""Clients' words for the types that pydantic names as Python does."""


@dataclass(frozen=True)
class Fault:
    """One fault: its path, the value given, what is expected, and the nearest known name."""

    path: str
    """Dotted, as the client wrote it: `objective.beta`, `sweep.seed[2]`."""
    got: Any
    expected: str
    nearest: str | None = None

    def __str__(self) -> str:
        hint = f" (did you mean {self.nearest!r}?)" if self.nearest else ""
        return f"{self.path or 'spec'}: expected {self.expected}, got {self.got!r}{hint}"


class InvalidSpec(ValueError):
    """A spec that cannot be run; `faults` lists what is wrong with it."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = list(faults)
        super().__init__("; ".join(str(fault) for fault in self.faults))


def parsed(model: type[M], data: object) -> M:
    """A client's data as a validated model.

    Raises:
        InvalidSpec: the data do not fit the model; the error lists the faults.
    """
    if not isinstance(data, Mapping):
        known = ", ".join(model.model_fields)
        raise InvalidSpec([Fault("", shown(data), f"an object with any of {known}")])
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise InvalidSpec(describe(error, model, data)) from None


def describe(error: ValidationError, model: type[BaseModel], data: object) -> list[Fault]:
    """At most 20 of pydantic's findings on `data`, each as a fault at the client's own path."""
    details = error.errors(include_url=False)
    at_fault = {detail["loc"][:-1] for detail in details if detail["loc"]}
    kept = [
        detail
        for detail in details
        # A tuple with refused items is "too short" as well, as pydantic does not count those items.
        if not (detail["type"] == "too_short" and detail["loc"] in at_fault)
    ]
    return [_fault(detail, model, data) for detail in kept[:MOST_FAULTS]]


def dotted(location: Iterable[str | int]) -> str:
    """`("sweep", "seed", 2)` as `sweep.seed[2]`."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{shown(part)}" if path else shown(part)
    return path


def shown(value: object) -> Any:
    """A value fit for a JSON document: short, and without NaN, infinities or lone surrogates."""
    try:
        text = value if isinstance(value, str) else json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        text = value = repr(value)
    if len(text) > LONGEST_SHOWN:
        text = value = text[:LONGEST_SHOWN] + "…"
    if isinstance(value, str):
        # UTF-8 has no form for one half of a surrogate pair.
        return value.encode(errors="backslashreplace").decode()
    return value


def _fault(detail: ErrorDetails, model: type[BaseModel], data: object) -> Fault:
    kind, context = detail["type"], detail.get("ctx", {})
    location = _as_written(detail["loc"], data, missing=kind == "missing")
    path = dotted(location)
    if kind == "union_tag_invalid":
        known = re.findall(r"'([^']*)'", context["expected_tags"])
        expected = "one of " + ", ".join(known)
        return Fault(
            f"{path}.name", shown(context["tag"]), expected, nearest(context["tag"], known)
        )
    if kind == UNKNOWN_CHOICE:
        got, known = context["got"], context["known"]
        expected = context["expected"] or "one of " + ", ".join(known)
        return Fault(f"{path}.{context['below']}", shown(got), expected, nearest(got, known))
    if kind == "union_tag_not_found":
        return Fault(f"{path}.name", None, "the name of a component")
    if kind == "extra_forbidden":
        owner = _model_at(model, detail["loc"][:-1])
        known = sorted(owner.model_fields) if owner else []
        expected = "one of the fields " + ", ".join(known) if known else "no such field"
        hint = nearest(str(detail["loc"][-1]), known)
        return Fault(path, shown(detail["input"]), expected, hint)
    if kind == "missing":
        return Fault(path, None, "a value: it is required")
    return value_fault(path, detail)


def value_fault(path: str, detail: Mapping[str, Any]) -> Fault:
    """One of pydantic's findings on a value, as a fault at this path."""
    kind, got = detail["type"], shown(detail["input"])
    if kind in ("literal_error", "enum"):
        known = re.findall(r"'([^']*)'", detail["ctx"]["expected"])
        hint = nearest(got, known) if isinstance(got, str) else None
        return Fault(path, got, "one of " + ", ".join(known), hint)
    return Fault(path, got, _TYPES.get(kind) or _in_plain_words(detail["msg"]))


def _in_plain_words(message: str) -> str:
    """pydantic's message, reworded to follow "expected", without the value that was given."""
    message = message.removeprefix("Value error, ").removeprefix("Input should be ")
    message = message.removeprefix("expected ").partition(", but got ")[0]
    message = re.sub(r"^String should (have|match)", r"text to \1", message)
    message = re.sub(r"^(List|Tuple) should have", "a list to have", message)
    message = re.sub(r"^Dictionary should have", "an object to have", message)
    return message.partition(" after validation, not ")[0]


def _as_written(location: Sequence[str | int], data: object, *, missing: bool) -> list[str | int]:
    """A location without the tags of unions, which pydantic adds to the client's own path."""
    written: list[str | int] = []
    for position, part in enumerate(location):
        if isinstance(part, int) and isinstance(data, Sequence) and part < len(data):
            data = data[part]
        elif isinstance(data, Mapping) and part in data:
            data = data[part]
        elif not (missing and position == len(location) - 1):
            continue
        written.append(part)
    return written


def _model_at(model: type[BaseModel], location: Sequence[str | int]) -> type[BaseModel] | None:
    """The model that describes the object at a location (tags of unions included)."""
    candidates = [model]
    for part in location:
        if isinstance(part, int):
            continue
        tagged = [c for c in candidates if issubclass(c, Component) and c.component_name() == part]
        if len(candidates) > 1 and tagged:
            candidates = list(tagged)
            continue
        field = candidates[0].model_fields.get(part)
        candidates = _models_in(field.annotation) if field else []
        if not candidates:
            return None
    return candidates[0] if len(candidates) == 1 else None


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models_in(argument)]
