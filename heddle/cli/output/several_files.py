"""The scores of several files as one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.text import Text

from heddle.cli.output.table import add_row, shown, titled_table
from heddle.cli.output.work import chosen_params


def several_files_table(
    files: Sequence[Mapping[str, Any]], asked: Sequence[Mapping[str, Any]]
) -> Group:
    """One row a file, one column a score; then what could not be computed, by file.

    `asked` are the metrics as the user asked for them. Their params are shown where a number was
    computed with more than one setting. Numbers whose name begins with `error` are left out, as
    they are 1 - informativeness.
    """
    settings: dict[str, list[Any]] = {}
    for file in files:
        for score in file["items"]:
            known = settings.setdefault(_name(score), [])
            if score["params"] not in known:
                known.append(score["params"])
    rows = []
    for file in files:
        values = {}
        for score in file["items"]:
            several = len(settings[_name(score)]) > 1
            params = chosen_params(score, asked) if several else []
            if not score["name"].startswith("error"):
                values[" ".join([_name(score), *params])] = score["value"]
        rows.append((file["file"], values))
    columns = list(dict.fromkeys(column for _, values in rows for column in values))
    table = titled_table("", ["file", *columns])
    for name, values in rows:
        add_row(table, [name, *(shown(values.get(column)) for column in columns)])
    errors = [
        Text(f"{file['file']}: {error}", style="red") for file in files for error in _errors(file)
    ]
    note = "heddle score of a single file shows intervals, nulls and advice; --json has them all"
    return Group(table, *errors, Text(note, style="dim"))


def failed(file: Mapping[str, Any]) -> bool:
    """Whether the file could not be scored, or not by every metric."""
    return bool(_errors(file))


def _errors(file: Mapping[str, Any]) -> list[str]:
    of_scores = {f"{one['metric']}: {one['error']}" for one in file["items"] if one["error"]}
    return [file["error"]] if file["error"] else sorted(of_scores)


def _name(score: Mapping[str, Any]) -> str:
    """The number, as in the results of an experiment: `mig`, `dci.disentanglement`."""
    metric, name = score["metric"], score["name"]
    return str(name if name == metric else f"{metric}.{name}")
