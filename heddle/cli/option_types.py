"""Types of options that click lacks: lists of numbers, and files of certain kinds."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click


class Numbers(click.ParamType[Any]):
    """Numbers with commas between them."""

    name = "numbers"

    def __init__(self, of: Callable[[str], float]) -> None:
        self._of = of

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            numbers = [self._of(part) for part in value.split(",")]
        except ValueError:
            numbers = []
        if not numbers or not all(map(math.isfinite, numbers)):
            example = "0,0,1.5" if self._of is float else "0,3"
            self.fail(f"got {value!r}, expected finite numbers as in {example}", param, ctx)
        return numbers


class FileOfKind(click.ParamType[Any]):
    """A file to write, whose suffix is its kind."""

    name = "file"

    def __init__(self, *kinds: str) -> None:
        self._kinds = kinds

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[Path, str]:
        suffix = Path(value).suffix.lower()
        kind = next((kind for kind in self._kinds if suffix == f".{kind}"), None)
        if kind is None:
            expected = f"a name that ends in {suffixes(self._kinds)}"
            self.fail(f"got {value!r}, expected {expected}", param, ctx)
        return Path(value), kind


def suffixes(kinds: tuple[str, ...]) -> str:
    return " or ".join(f".{kind}" for kind in kinds)
