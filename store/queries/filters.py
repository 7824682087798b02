"""Filters of a list: a dataclass with a field for each condition, None where it is not asked."""

from __future__ import annotations

from dataclasses import field
from typing import Any


def condition(description: str) -> Any:
    """A field of filters whose name does not say all; the description is for clients of the API."""
    return field(default=None, metadata={"description": description})
