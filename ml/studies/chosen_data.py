"""The params of a data set that differ from their defaults."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from operator import itemgetter
from typing import Any

from ml.components.registry import components


def chosen_data(dataset: Mapping[str, Any]) -> dict[str, Any]:
    """Params of a spec's data set that differ from their defaults, dotted path to value."""
    usual = _usual_data(str(dataset["name"]))
    return {
        path: value
        for path, value in sorted(leaves("", dataset), key=itemgetter(0))
        if path != "name" and (path not in usual or usual[path] != value)
    }


@lru_cache(maxsize=1_000)
def _usual_data(name: str) -> Mapping[str, Any]:
    known = components("dataset").get(name)
    try:
        usual = known.model_validate({"name": name}) if known else None
    except ValueError:
        usual = None
    return dict(leaves("", usual.model_dump(mode="json"))) if usual else {}


def leaves(path: str, value: Any) -> Iterable[tuple[str, Any]]:
    """Each plain value within a value, with its dotted path."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from leaves(f"{path}.{key}" if path else key, inner)
    else:
        yield path, value
