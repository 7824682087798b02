"""Presets on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from heddle.cli.output.table import add_row, titled_table


def preset_list(items: Iterable[Mapping[str, Any]]) -> Table:
    """One row a preset: its name, its runs and what it is."""
    table = titled_table("presets", ["name", "runs", "summary"])
    for item in items:
        add_row(table, [item["name"], f"{item['runs']:,}", item["summary"]])
    return table


def preset_account(document: Mapping[str, Any]) -> RenderableType:
    """What a preset asks for, where it is from, and what differs from there."""
    spec, training = document["spec"], document["spec"]["training"]
    table = titled_table(f"{document['name']}: {document['summary']}", ["", ""])
    facts = {
        "source": document["source"],
        "data set": _named(spec["dataset"]),
        "of the work": ", ".join(document["datasets"]),
        "runs": f"{document['runs']:,}",
        "each run": f"{training['steps']:,} steps of {training['batch_size']} images",
        "swept": ", ".join(f"{path} ({len(values)})" for path, values in spec["sweep"].items()),
        "metrics": ", ".join(_named(metric) for metric in spec["evaluation"]["metrics"]),
        "look at": "; ".join(_look(one) for one in document["look"]),
    }
    for name, value in facts.items():
        if value:
            add_row(table, [name, value])
    return Group(
        table,
        *_sentences("Where its values were found", document["places"]),
        *_sentences("What differs from the work", document["differs"]),
        Text("Nothing was started: --dry-run plans it, --submit posts it."),
    )


def _named(component: str | Mapping[str, Any]) -> str:
    return component if isinstance(component, str) else str(component["name"])


def _look(look: Mapping[str, Any]) -> str:
    """A plot with its params as `heddle plot` takes them."""
    given = (f"--set {name}={_param(value)}" for name, value in look["params"].items())
    return " ".join([look["plot"], *given])


def _param(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(_param, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _sentences(title: str, sentences: Sequence[str]) -> Iterable[Text]:
    if sentences:
        yield Text(title, style="bold")
        for sentence in sentences:
            yield Text(f"- {sentence}")
