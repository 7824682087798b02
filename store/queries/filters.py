"""Filters of a list: a dataclass with a field for each condition, which is None if not asked."""

from __future__ import annotations

from dataclasses import field
from typing import Any


def condition(description: str) -> Any:
    """A field of filters that needs a description, which clients of the API see."""
    return field(default=None, metadata={"description": description})
