"""An audit as a table for a terminal, with the reasons below it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from heddle.cli.output.account import account_lines, group_lines
from heddle.cli.output.table import narrow_table

MARKS = {"same": "=", "different definition": "≠", "wrong": "✗"}
STYLES = {"same": "green", "different definition": "yellow", "wrong": "bold red"}
LEGEND = "= the same number   ≠ a different definition   ✗ wrong, or no number"


def audit_table(document: Mapping[str, Any]) -> RenderableType:
    """One row a score, with what each codebase prints. Below it each reason has a line."""
    items = document["items"]
    groups = group_lines([item["score"] for item in items])
    latents = f"{document['latents']} {'latents' if groups else 'codes'}"
    title = (
        f"{document['file']}: {document['rows']} rows ({document['train_rows']} to train on),"
        f" {latents}, factors {', '.join(document['factors'])}"
    )
    return Group(
        Text(title, style="bold"),
        *account_lines(document.get("understood")),
        *groups,
        _table(items),
        Text(LEGEND, style="dim"),
        *_reasons(items),
        *_failures(items),
        *_codebases(items),
    )


def _table(items: Sequence[Mapping[str, Any]]) -> Table:
    table = narrow_table("metric", "score", "95 % interval", "null", "elsewhere")
    labels = [len(_label(one)) for item in items for one in item["published"]]
    for asked, of_metric in groupby(items, key=lambda item: item["asked"]):
        group = list(of_metric)
        if len(group) > 1:
            table.add_row(Text(_called(asked)))
        for item in group:
            name = f" {item['score']['name']}" if len(group) > 1 else _called(asked)
            elsewhere = _elsewhere(item["published"], max(labels, default=0))
            table.add_row(Text(name), *_numbers(item["score"]), elsewhere)
    return table


def _called(asked: Mapping[str, Any]) -> str:
    """A metric with its predictor, as in `dci lasso`."""
    return " ".join(str(value) for key, value in asked.items() if key != "factor_bins")


def _numbers(score: Mapping[str, Any]) -> list[Text]:
    interval, null = score["ci95"], score["null"]
    cells = [
        "-" if score["value"] is None else f"{score['value']:.3f}",
        f"{interval[0]:.3f}–{interval[1]:.3f}" if interval else "",
        f"{null['mean']:.3f}±{null['std']:.3f}" if null else "",
    ]
    return [Text(cell) for cell in cells]


def _elsewhere(published: Iterable[Mapping[str, Any]], width: int) -> Text:
    lines = []
    for one in published:
        # Of `raises ValueError` this is the first word. The reason below has the rest.
        value = one["instead"].split()[0] if one["value"] is None else f"{one['value']:.3f}"
        cell = f"{value:>6} {MARKS[one['verdict']]}"
        lines.append(Text.assemble(_label(one).ljust(width), (cell, STYLES[one["verdict"]])))
    return Text("\n").join(lines)


def _label(one: Mapping[str, Any]) -> str:
    return f"{one['codebase']} {one['settings']}" if one["settings"] else str(one["codebase"])


def _reasons(items: Sequence[Mapping[str, Any]]) -> Iterator[RenderableType]:
    """Each reason once, with all scores that it explains; faults come first."""
    explained: dict[tuple[str, str, str], list[str]] = {}
    for item in items:
        for one in item["published"]:
            for reason in one["reasons"]:
                key = (reason["verdict"], one["codebase"], reason["why"])
                explained.setdefault(key, []).append(_scored(item))
    lines = Table.grid(padding=(0, 1))
    for verdict, codebase, why in sorted(explained, key=lambda key: key[0] != "wrong"):
        scored = ", ".join(dict.fromkeys(explained[verdict, codebase, why]))
        line = Text.assemble((codebase, STYLES[verdict]), f" {scored}: {why}.")
        lines.add_row(Text(MARKS[verdict], STYLES[verdict]), line)
    if explained:
        yield Text()
        yield lines


def _failures(items: Sequence[Mapping[str, Any]]) -> Iterator[RenderableType]:
    """Each error of ours once, with the metrics that it left without a score."""
    failed: dict[str, list[str]] = {}
    for item in items:
        if error := item["score"]["error"]:
            failed.setdefault(error, []).append(_called(item["asked"]))
    if failed:
        yield Text()
    for error, called in failed.items():
        yield Text.assemble(
            (f"No score of {', '.join(dict.fromkeys(called))}: ", "bold red"), error
        )


def _codebases(items: Sequence[Mapping[str, Any]]) -> Iterator[RenderableType]:
    """The repository and commit of each codebase."""
    named = {
        f"{one['codebase']} {one['repository']}@{one['commit']}"
        for item in items
        for one in item["published"]
    }
    if named:
        yield Text()
    for line in sorted(named):
        yield Text(line, style="dim")


def _scored(item: Mapping[str, Any]) -> str:
    name, called = item["score"]["name"], _called(item["asked"])
    return called if called == name or "explicitness" in called else f"{called} {name}"
