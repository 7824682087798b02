"""What a benchmark found: tables of figures, as Markdown to read and as JSON to keep and compare.

A script in this folder measures what it is named after. It makes its parser by `parser`, and ends
with `publish`, which prints its tables and, where `--json FILE` is given, writes them to the file.
`python -m benchmarks` runs the scripts and gathers their tables in one record.

A figure that was measured in turns with an alternative is given it by `Figure.beside`. Two records
are then compared by the ratios of the rounds, which say what changed even where the machine was
busier one day than the other.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True)
class Figure:
    """A quantity that was measured once or in several rounds."""

    #: One value of each round, in the order of the rounds.
    values: Sequence[float]
    #: For instance `s`, `ms`, `images/s`, `times`.
    unit: str
    #: Which way is an improvement; None where neither is.
    better: Literal["more", "less"] | None = None
    #: Digits after the point when it is read.
    places: int = 1
    #: The alternative's values in the same rounds, if there is an alternative: see `beside`.
    alternative: Sequence[float] | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def __str__(self) -> str:
        """The median, and the least and largest round in brackets where there are several."""
        text = f"{self.median:,.{self.places}f}"
        if len(self.values) == 1:
            return text
        least, largest = min(self.values), max(self.values)
        return f"{text} ({least:,.{self.places}f} to {largest:,.{self.places}f})"

    def per(self, other: Figure) -> Figure:
        """This over an alternative that was measured in the same rounds, round by round."""
        ratios = [own / its for own, its in zip(self.values, other.values, strict=True)]
        return Figure(ratios, "times", self.better, places=2)

    def beside(self, other: Figure) -> Figure:
        """This figure, with the alternative that was measured in the same rounds."""
        return replace(self, alternative=list(other.values))


@dataclass(frozen=True)
class Row:
    #: The texts that tell the row from others, one of each of the table's `labels`.
    labels: Sequence[str]
    #: By column. None is what was not measured on this machine, and a text is a remark.
    figures: Mapping[str, Figure | str | None]


@dataclass(frozen=True)
class Table:
    """A table of `docs/benchmarks.md`."""

    #: Tells it from all other tables: the script's name, and what is in it where there are several.
    name: str
    #: The command that measured it.
    command: str
    labels: Sequence[str]
    rows: Sequence[Row]

    def markdown(self) -> str:
        columns = list(dict.fromkeys(column for row in self.rows for column in row.figures))
        units: dict[str, str] = {}
        for row in self.rows:
            for column, figure in row.figures.items():
                if isinstance(figure, Figure):
                    units[column] = figure.unit
        headings = [f"{c}, {units[c]}" if units.get(c) else c for c in columns]
        lines = [
            "| " + " | ".join([*self.labels, *headings]) + " |",
            "| " + " | ".join(["---"] * len(self.labels) + ["---:"] * len(columns)) + " |",
        ]
        for row in self.rows:
            cells = [_cell(row.figures.get(column, "")) for column in columns]
            lines.append("| " + " | ".join([*row.labels, *cells]) + " |")
        return "\n".join(lines)

    def json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "command": self.command,
            "labels": list(self.labels),
            "rows": [
                {
                    "labels": list(row.labels),
                    "figures": {column: _json(figure) for column, figure in row.figures.items()},
                }
                for row in self.rows
            ],
        }


def table_from_json(document: Mapping[str, Any]) -> Table:
    """The table that `Table.json` made the document of."""
    rows = [
        Row(row["labels"], {column: _figure(one) for column, one in row["figures"].items()})
        for row in document["rows"]
    ]
    return Table(document["name"], document["command"], document["labels"], rows)


def _cell(figure: Figure | str | None) -> str:
    return "not measured" if figure is None else str(figure)


def _json(figure: Figure | str | None) -> dict[str, Any] | str | None:
    if not isinstance(figure, Figure):
        return figure
    return {
        "median": figure.median,
        "spread": [min(figure.values), max(figure.values)],
        "values": list(figure.values),
        "unit": figure.unit,
        "better": figure.better,
        "places": figure.places,
        **({} if figure.alternative is None else {"alternative": list(figure.alternative)}),
    }


def _figure(document: Mapping[str, Any] | str | None) -> Figure | str | None:
    if document is None or isinstance(document, str):
        return document
    of_values = {"median", "spread"}
    return Figure(**{name: value for name, value in document.items() if name not in of_values})


def rounds(number: int, measured: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """The values of several measurements that take turns, so that a busy spell meets them all."""
    found: dict[str, list[float]] = {name: [] for name in measured}
    for _ in range(number):
        for name, measure in measured.items():
            found[name].append(measure())
    return found


def parser(description: str | None) -> argparse.ArgumentParser:
    """A parser with the options that every benchmark has."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--quick", action="store_true", help="less of everything: half a minute")
    made.add_argument("--json", type=Path, metavar="FILE", help="write the tables there as well")
    return made


def publish(tables: Sequence[Table], arguments: argparse.Namespace) -> None:
    """Print the tables, and write them where `--json` says."""
    for table in tables:
        print(f"\n`{table.command}`\n\n{table.markdown()}")
    if arguments.json:
        arguments.json.write_text(json.dumps([table.json() for table in tables], indent=1) + "\n")
