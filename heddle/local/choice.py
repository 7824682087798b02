"""What the user says of a file of codes.

It imports nothing of `ml`, which takes seconds, so that options are parsed at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Dialect:
    """What the user says of a CSV. A field that is None is detected."""

    separator: str | None = None
    decimal: str | None = None
    header: bool | None = None


@dataclass(frozen=True)
class Choice:
    """What the user says of a file."""

    codes: Sequence[str] = ()
    """Names and patterns of the codes. In an npz without names they are z0, z1, …"""
    factors: Sequence[str] = ()
    kinds: str | None = None
    """`discrete` for all, one kind for each factor, or `scale=discrete,x=continuous`."""
    drop: Sequence[str] = ()
    """Names and patterns of columns that are neither codes nor factors."""
    factors_file: Path | None = None
    """The file of the factors, if it is another one. It has a row for each row of codes."""
    codes_array: str | None = None
    factors_array: str | None = None
    groups: str | None = None
    """Sizes of consecutive groups of codes, or the names and patterns of each."""
    group_by: str | None = None
    dialect: Dialect = field(default_factory=Dialect)

    def __bool__(self) -> bool:
        """Whether the user says anything. If not, an npz can be sent as it is."""
        return self != Choice()
