"""`--groups`: which codes of a file form one latent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from heddle.local.choice import Choice
from heddle.local.columns import chosen
from ml.codes.codes_and_factors import CodesAndFactors


def with_groups(spec: Mapping[str, Any], choice: Choice, arrays: CodesAndFactors) -> dict[str, Any]:
    """The spec with the groups of codes that the user chose. Raises `UnusableTable`."""
    asked: dict[str, Any] = {}
    if choice.groups is not None:
        asked["groups"] = groups_of(choice.groups, arrays.codes_called())
    if choice.group_by is not None:
        asked["group_by"] = choice.group_by
    return {**spec, **asked}


def groups_of(text: str, names: Sequence[str]) -> list[int] | list[list[int]]:
    """`3,2` as sizes of consecutive groups, or `slot0_*,z4+z5` as the columns of these names.

    Raises:
        UnusableTable: no code has such a name.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if all(part.isdecimal() for part in parts):
        return [int(part) for part in parts]
    # A code may have a plus in its own name.
    several = [[part] if part in names else part.split("+") for part in parts]
    return [[names.index(name) for name in chosen(some, names, "code")] for some in several]
