"""The params of a data set that differ from their defaults."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from operator import itemgetter
from typing import Any

from ml.components.registry import components

_NAMES = ("name", "called")


def chosen_data(dataset: Mapping[str, Any]) -> dict[str, Any]:
    """Params of a spec's data set that differ from their defaults, dotted path to value."""
    usual = _usual_data(str(dataset["name"]))
    named = (*_NAMES, "stored") if dataset.get("called") else _NAMES
    return {
        path: value
        for path, value in sorted(leaves("", dataset), key=itemgetter(0))
        if path not in named and (path not in usual or usual[path] != value)
    }


@lru_cache(maxsize=1_000)
def _usual_data(name: str) -> Mapping[str, Any]:
    known = components("dataset").get(name)
    if known is None:
        return {}
    # Not validated, as some need a param that has no default.
    usual = known.model_construct(name=name).model_dump(mode="json", warnings=False)
    return dict(leaves("", usual))


def data_name(dataset: Mapping[str, Any]) -> str:
    """What people call a spec's data set: the name under which it was uploaded, if it was."""
    return str(dataset.get("called") or dataset["name"])


def leaves(path: str, value: Any) -> Iterable[tuple[str, Any]]:
    """Each plain value within a value, with its dotted path."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from leaves(f"{path}.{key}" if path else key, inner)
    else:
        yield path, value
