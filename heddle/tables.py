"""Experiments, runs and scores as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from heddle.client import Experiment, Run

#: Where output is no terminal there is no width to keep to, and ids must not be cut.
PIPE_WIDTH = 200


def console() -> Console:
    screen = Console(highlight=False)
    return screen if screen.is_terminal else Console(highlight=False, width=PIPE_WIDTH)


def experiment_table(experiment: Experiment, failed: Mapping[str, Run]) -> Table:
    """One row a run: its state, what sets it apart, and for the `failed` why and what to do."""
    runs = experiment.runs()
    swept = list(dict.fromkeys(path for run in runs for path in run.swept))
    title = f"{experiment.id}  {experiment.document.get('name') or ''}  {experiment.state}"
    table = _table(title, ["run", "state", *swept, *(["error", "advice"] if failed else [])])
    for run in runs:
        state = f"{run.state} (reused)" if run.document.get("reused") else run.state
        row = [run.id, state, *(_shown(run.swept.get(path)) for path in swept)]
        if failed:
            row += _why(failed.get(run.id))
        _add_row(table, row)
    return table


def run_table(run: Run) -> Table:
    """One row a fact."""
    document = run.document
    spec = document.get("spec") or {}
    table = _table(run.id, ["", ""])
    facts: dict[str, Any] = {"state": run.state, "attempts": document.get("attempts")}
    facts |= {part: _component(spec.get(part)) for part in ("dataset", "model", "objective")}
    facts |= {"seed": spec.get("seed")} | dict(document.get("waiting") or {})
    facts |= {
        key: value for key, value in (document.get("progress") or {}).items() if value is not None
    }
    error, advice = _why(run)
    for name, value in (facts | {"error": error, "advice": advice}).items():
        if value not in (None, ""):
            _add_row(table, [name.replace("_", " "), _shown(value)])
    return table


def score_table(title: str, scores: Iterable[Mapping[str, Any]]) -> Table:
    """One row a score: its value, how sure it is, and what chance alone would give.

    Columns in which nothing stands are left out.
    """
    names = ["metric", "name", "value", "ci95", "null mean", "error"]
    rows: list[list[str]] = []
    for score in scores:
        interval = score.get("ci95")
        ends = f"[{_shown(interval[0])}, {_shown(interval[1])}]" if interval else ""
        null = score.get("null") or {}
        row = [score["metric"], score["name"], score.get("value"), ends, null.get("mean")]
        rows.append([_shown(cell) for cell in [*row, score.get("error")]])
    used = [place for place in range(len(names)) if place < 3 or any(row[place] for row in rows)]
    table = _table(title, [names[place] for place in used])
    for cells in rows:
        _add_row(table, [cells[place] for place in used])
    return table


def _table(title: str, columns: Iterable[str]) -> Table:
    names = list(columns)
    table = Table(title=Text(title), title_justify="left", show_header=any(names))
    for name in names:
        table.add_column(Text(name), overflow="fold")
    return table


def _add_row(table: Table, cells: Iterable[str]) -> None:
    # Text, as a message may hold brackets that are no markup.
    table.add_row(*(Text(cell) for cell in cells))


def _why(run: Run | None) -> list[str]:
    error = (run.document.get("error") or {}) if run else {}
    if not error:
        return ["", ""]
    return [f"{error.get('type')}: {error.get('message')}", error.get("advice") or ""]


def _component(component: Mapping[str, Any] | None) -> str | None:
    if not component:
        return None
    params = ", ".join(f"{key}={_shown(value)}" for key, value in component.items())
    return params.removeprefix("name=")


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
