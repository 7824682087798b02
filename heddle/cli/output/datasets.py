"""Tables of data sets, and the bars of an upload."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from heddle.cli.output.table import add_row, narrow_table, shown, titled_table


def dataset_table(items: Iterable[Mapping[str, Any]]) -> Table:
    """A row for each data set."""
    table = narrow_table("name", "images", "size", "factors", "whose")
    for one in items:
        factors = one["factors"]
        add_row(
            table,
            [
                one["name"],
                _count(one["images"]),
                _size(one["shape"]),
                "" if factors is None else str(len(factors)),
                "uploaded" if one["uploaded"] else "built in",
            ],
        )
    return table


def dataset_account(one: Mapping[str, Any]) -> RenderableType:
    """All that is known of a data set, or of what a dry run has understood."""
    facts = titled_table(str(one["name"]), ["", ""])
    stored = one.get("bytes")
    for name, value in {
        "description": one.get("description"),
        "images": _count(one["images"]),
        "size": _size(one["shape"]),
        "with all factors": _count(one["labelled"]),
        "source": one.get("source"),
        "licence": one.get("licence"),
        "private": "yes" if one.get("private") else None,
        "stored": decimal(stored) if stored else None,
        "former names": ", ".join(one.get("former_names") or ()),
        "digest": one.get("digest"),
    }.items():
        if value:
            add_row(facts, [name, str(value)])
    parts: list[RenderableType] = [facts]
    if one["factors"]:
        factors = narrow_table("factor", "kind", "values")
        for factor in one["factors"]:
            add_row(factors, [factor["name"], factor["kind"], shown(factor["size"])])
        parts.append(factors)
    parts += [Text(f"- {note}") for note in one["notes"]]
    return Group(*parts)


class UploadBar:
    """Shows how far an upload is: packing, sending, storing. Nothing without a terminal."""

    def __init__(self, console: Console) -> None:
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def __call__(self, stage: str, done: int, of: int) -> None:
        if self._task is None:
            self._task = self._bars.add_task(stage, total=of)
        self._bars.update(self._task, description=stage, completed=done, total=of)


def _count(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


def _size(shape: Iterable[int] | None) -> str:
    return "" if shape is None else " x ".join(str(side) for side in shape)
