"""Values at dotted paths of a spec: `objective.beta`, or a whole component."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from ml.components.spec_errors import Fault, InvalidSpec, shown

MOST_PARTS = 64


def with_values(base: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a spec in which these values are set at their paths, the shortest path first.

    So a whole component is set before the paths into it.

    Raises:
        InvalidSpec: a path leads through a value that is no object, or has too many names.
    """
    for path in values:
        if path.count(".") >= MOST_PARTS:
            raise InvalidSpec(
                [Fault(shown(path), shown(values[path]), f"a path of at most {MOST_PARTS} names")]
            )
    spec = copy.deepcopy(dict(base))
    for path in sorted(values, key=lambda path: path.count(".")):
        *parents, last = path.split(".")
        here = spec
        for depth, parent in enumerate(parents, start=1):
            below = here.get(parent, {})
            if isinstance(below, str):
                below = {"name": below}
            if not isinstance(below, dict):
                expected = f"an object, as {path} is set"
                raise InvalidSpec([Fault(".".join(parents[:depth]), shown(below), expected)])
            here[parent] = below
            here = below
        here[last] = copy.deepcopy(values[path])
    return spec


def value_at(document: Mapping[str, Any], path: str) -> Any:
    """The value at a path, or None if there is none."""
    found: Any = document
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found
