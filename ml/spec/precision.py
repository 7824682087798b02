"""`training.precision: auto` in a posted document: what it stands for is put in its place.

This happens before a spec is parsed. So a run's spec and its identities have the precision itself,
and whatever goes on from the run, or is compared with it, never meets another one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ml.spec.choices import AUTO, Precision

Choose = Callable[[], Precision]
PATH = "training.precision"


def decided(document: Mapping[str, Any], choose: Choose) -> dict[str, Any]:
    """A spec or an experiment's spec with the chosen precision wherever it says `auto`.

    `choose` is called only if it says so. If a swept precision is in its list already, the list has
    it once. Whatever is not as a spec should be stays as it is.
    """
    parts = [field for field in ("training", "origin") if field in document]
    found = {**document, **{field: _at(field, document[field], choose) for field in parts}}
    if isinstance(sweep := found.get("sweep"), Mapping):
        found["sweep"] = {path: _at(path, value, choose) for path, value in sweep.items()}
    return found


def _at(path: object, value: Any, choose: Choose) -> Any:
    """The value of a path into a spec, or the list of the values that it takes in a sweep."""
    if isinstance(path, str):
        # An origin is as a spec again, and may have an origin of its own.
        path = re.sub(r"^(origin\.)+", "", path)
    if path == PATH and isinstance(value, str) and value == AUTO:
        return choose()
    if path == "training" and isinstance(value, Mapping) and "precision" in value:
        return {**value, "precision": _at(PATH, value["precision"], choose)}
    if path == "origin" and isinstance(value, Mapping):
        return {inner: _at(inner, one, choose) for inner, one in value.items()}
    if path in (PATH, "training", "origin") and isinstance(value, list):
        values = [_at(path, one, choose) for one in value]
        return value if values == value else _once_each(values)
    return value


def _once_each(values: list[Any]) -> list[Any]:
    return [value for at, value in enumerate(values) if value not in values[:at]]
