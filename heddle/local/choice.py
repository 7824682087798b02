"""What somebody says of a file of codes; nothing here needs `ml`, so that options wait for none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Dialect:
    """What the caller says of a CSV; None is found out."""

    separator: str | None = None
    decimal: str | None = None
    header: bool | None = None


@dataclass(frozen=True)
class Choice:
    """What the caller says of a file."""

    codes: Sequence[str] = ()
    """Names and patterns of the codes; in an npz without names they are z0, z1, …"""
    factors: Sequence[str] = ()
    kinds: str | None = None
    """`discrete`, one kind a factor, or `scale=discrete,x=continuous`."""
    drop: Sequence[str] = ()
    """Names and patterns of what is neither."""
    factors_file: Path | None = None
    """Where the factors are, if not in the same file; a row there for each row of codes."""
    codes_array: str | None = None
    factors_array: str | None = None
    dialect: Dialect = field(default_factory=Dialect)

    def __bool__(self) -> bool:
        """Whether it says anything that a file sent as it is would not say."""
        return self != Choice()
