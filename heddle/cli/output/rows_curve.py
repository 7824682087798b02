"""Scores against rows as tables for a terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from heddle.cli.output.table import add_row, narrow_table


def curve_tables(document: Mapping[str, Any]) -> RenderableType:
    """A table for each metric with one row a size, then what the curves say, then the picture."""
    shown: list[RenderableType] = []

    def asked(curve: Mapping[str, Any]) -> str:
        return json.dumps([curve["metric"], curve["params"]])

    for _, group in groupby(document["curves"], key=asked):
        curves = list(group)
        shown.append(_table(curves))
        shown += [Text(f"{one['name']}: {one['said']}") for one in curves if one["said"]]
        errors = {
            f"{point['rows']:,} rows: {point['error']}"
            for one in curves
            for point in one["points"]
            if point["error"]
        }
        shown += [Text(error, style="red") for error in sorted(errors)]
    legend = f"mean ± deviation of fresh draws, of {document['draws']} draws; in brackets the null"
    return Group(*shown, Text(legend, style="dim"), Text(document["picture"]))


def _table(curves: Sequence[Mapping[str, Any]]) -> Table:
    table = narrow_table("rows", *(one["name"] for one in curves))
    for points in zip(*(one["points"] for one in curves), strict=True):
        add_row(table, [f"{points[0]['rows']:,}", *map(_cell, points)])
    return table


def _cell(point: Mapping[str, Any]) -> str:
    if point["mean"] is None:
        return "-"
    cell = f"{point['mean']:.3f}"
    if point["std"] is not None:
        cell += f" ±{point['std']:.3f}"
    if point["null"]:
        cell += f" ({sum(point['null']) / len(point['null']):.3f})"
    return cell
