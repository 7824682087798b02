"""Experiments, runs and scores as tables for a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from rich.console import Group, RenderableType
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from heddle.cli.output.table import (
    add_row,
    assignments,
    duration,
    narrow_table,
    shown,
    titled_table,
)
from heddle.client.resources import Experiment, Run

MOST_NAMED = 5
"""Most scores that a line names."""


def experiment_table(experiment: Experiment, failed: Mapping[str, Run]) -> Table:
    """One row a run: state, swept values, and for the `failed` the error and advice."""
    runs = experiment.runs()
    swept = list(dict.fromkeys(path for run in runs for path in run.swept))
    about = [experiment.id, experiment.document.get("name") or "", experiment.state]
    about += [size_of(experiment), "pinned" if experiment.document.get("pinned") else ""]
    title = "  ".join(part for part in about if part)
    table = titled_table(title, ["run", "state", *swept, *(["error", "advice"] if failed else [])])
    for run in runs:
        state = f"{run.state} (reused)" if run.document.get("reused") else run.state
        row = [run.id, state, *(shown(run.swept.get(path)) for path in swept)]
        if failed:
            row += _why(failed.get(run.id))
        add_row(table, row)
    return table


def dry_run_table(found: Mapping[str, Any]) -> RenderableType:
    """What posting a spec would do, with one row a fact. Below it each warning has a line."""
    table = titled_table("nothing was written", ["", ""])
    seconds, position = found["seconds"], found["position"]
    facts = {
        "runs": f"{found['runs']}, {found['reused']} of them reused",
        "weights of a model": f"{found['parameters']:,}",
        "steps to train": f"{found['steps']:,}",
        "on one worker": "not known before a run of the kind has been trained"
        if seconds is None
        else duration(seconds),
        "memory of a run": f"{decimal(found['memory_bytes'])} and its activations",
        "place in the queue": "none needed" if position is None else _place(found),
    }
    for name, value in facts.items():
        add_row(table, [name, value])
    return Group(table, *map(Text, found["warnings"]))


def _place(found: Mapping[str, Any]) -> str:
    seconds = found.get("starts_in_seconds")
    when = "" if seconds is None else f", in about {duration(seconds)}"
    return f"{found['position']}{when}"


def size_of(experiment: Experiment) -> str:
    """The size of its runs' files, for people; empty if it is unknown or zero."""
    total = sum((experiment.document.get("usage") or {}).values())
    return decimal(total) if total else ""


def run_table(run: Run) -> Table:
    """One row a fact."""
    document = run.document
    spec = document.get("spec") or {}
    table = titled_table(run.id, ["", ""])
    facts: dict[str, Any] = {"state": run.state, "attempts": document.get("attempts")}
    facts |= {part: _component(spec.get(part)) for part in ("dataset", "model", "objective")}
    if origin := document.get("origin"):
        facts["goes on from"] = f"step {origin['step']} of {origin['run']}"
    facts |= {"seed": spec.get("seed")} | dict(document.get("waiting") or {})
    facts |= {
        key: value for key, value in (document.get("progress") or {}).items() if value is not None
    }
    error, advice = _why(run)
    for name, value in (facts | {"error": error, "advice": advice}).items():
        if value not in (None, ""):
            add_row(table, [name.replace("_", " "), shown(value)])
    return table


def attempt_table(run: Run) -> list[Table]:
    """One row an attempt at the run; no table before the first."""
    attempts = (run.document.get("record") or {}).get("attempts") or []
    if not isinstance(attempts, list) or not attempts:
        return []
    table = titled_table("attempts", ["kind", "worker", "began", "seconds", "end", "why"])
    for one in attempts:
        cause = one.get("cause") or {}
        row = [one["kind"], one["worker"], one["began_at"][:19], one["seconds"], one["end"]]
        add_row(table, [*(shown(cell) for cell in row), cause.get("message") or ""])
    return [table]


def score_table(title: str, scores: Iterable[Mapping[str, Any]]) -> Table:
    """One row a score: its value, its interval, and what chance alone would give.

    Scores of one metric are shown with what differs in how they were asked for. Empty columns are
    left out.
    """
    names = ["metric", "name", "value", "95 % interval", "null", "error"]
    several = list(scores)
    rows: list[list[str]] = []
    for score in several:
        interval = score.get("ci95")
        ends = f"[{shown(interval[0])}, {shown(interval[1])}]" if interval else ""
        null = score.get("null")
        chance = f"{shown(null['mean'])} ± {null['std']:.2g} ({null['replicates']})" if null else ""
        metric = " ".join([score["metric"], *_differences(score, several)])
        row = [metric, score["name"], score.get("value"), ends, chance, score.get("error")]
        rows.append([shown(cell) for cell in row])
    used = [place for place in range(len(names)) if place < 3 or any(row[place] for row in rows)]
    table = titled_table(title, [names[place] for place in used])
    for cells in rows:
        add_row(table, [cells[place] for place in used])
    return table


def _differences(score: Mapping[str, Any], scores: Iterable[Mapping[str, Any]]) -> list[str]:
    """What differs from other scores of the metric: params, codes, definition, rows, seed."""
    own = _asked(score)
    others = [_asked(other) for other in scores if other["metric"] == score["metric"]]
    return [
        f"{name}={shown(value)}"
        for name, value in own.items()
        if value is not None and any(other.get(name) != value for other in others)
    ]


def _asked(score: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **(score.get("params") or {}),
        **{name: score.get(name) for name in ("codes", "definition", "rows", "train_rows", "seed")},
    }


def advice_list(advice: Iterable[Mapping[str, str]]) -> RenderableType:
    """One line for each reason behind odd scores, with what to do about it."""
    lines = [
        Text.assemble(("! ", "yellow"), (f"{one['reason']}.", ""), f" Advice: {one['suggestion']}.")
        for one in advice
    ]
    return Group(*lines)


def file_score_table(
    title: str,
    scores: Sequence[Mapping[str, Any]],
    asked: Sequence[Mapping[str, Any]],
    *,
    below: Sequence[Text] = (),
) -> RenderableType:
    """One row a score of a file, under its definition: value, interval, null; then the errors.

    The lines `below` stand below the title. `asked` are the metrics as the user asked for them:
    only params that the user chose are shown.
    """
    table = narrow_table("definition", "score", "95 % interval", "null (replicates)")
    for (definition, metric), group in groupby(
        scores, key=lambda score: (_definition(score, asked), score["metric"])
    ):
        several = list(group)
        alone = [score["name"] for score in several] == [metric]
        if not alone:
            add_row(table, [definition])
        for score in several:
            add_row(table, [definition if alone else f" {score['name']}", *_numbers(score)])
    errors = {f"{score['metric']}: {score['error']}" for score in scores if score["error"]}
    return Group(
        Text(title, style="bold"),
        *below,
        table,
        *halving_lines(scores),
        *(Text(error, style="red") for error in sorted(errors)),
    )


def halving_lines(scores: Iterable[Mapping[str, Any]]) -> list[Text]:
    """At which number of rows the intervals would halve, with a line for each number of rows.

    Numbers are rounded up to two digits, as an interval is no better known. The number that most
    scores share comes first.
    """
    names: dict[int, dict[str, None]] = {}
    for score in scores:
        if (rows := score.get("rows_to_halve")) is not None:
            names.setdefault(_rounded_up(rows), {})[score["name"]] = None
    several = len(names) > 1
    return [
        Text(
            f"intervals{f' of {_few_of(list(of))}' if several else ''} would halve at about"
            f" {rows:,} rows",
            style="dim",
        )
        for rows, of in sorted(names.items(), key=lambda one: (-len(one[1]), one[0]))
    ]


def _rounded_up(rows: int) -> int:
    """The number with two digits that count, and not below."""
    unit: int = 10 ** max(0, len(str(rows)) - 2)
    return -(-rows // unit) * unit


def _few_of(names: Sequence[str]) -> str:
    if len(names) <= MOST_NAMED:
        return ", ".join(names)
    return f"{', '.join(names[: MOST_NAMED - 1])} and {len(names) - MOST_NAMED + 1} others"


def _numbers(score: Mapping[str, Any]) -> list[str]:
    interval, null = score["ci95"], score["null"]
    return [
        "-" if score["value"] is None else f"{score['value']:.4f}",
        f"{interval[0]:.4f}–{interval[1]:.4f}" if interval else "",
        f"{null['mean']:.4f}±{null['std']:.4f} ({null['replicates']})" if null else "",
    ]


def _definition(score: Mapping[str, Any], asked: Sequence[Mapping[str, Any]]) -> str:
    return " ".join([score["definition"], *chosen_params(score, asked)])


def chosen_params(score: Mapping[str, Any], asked: Sequence[Mapping[str, Any]]) -> list[str]:
    """The params of a score that the user chose, as `predictor=lasso`."""
    given = [
        {k: v for k, v in one.items() if k != "name"}
        for one in asked
        if one["name"] == score["metric"]
    ]
    fitting = [params for params in given if params.items() <= score["params"].items()]
    chosen = max(fitting, key=len, default={})
    return [f"{key}={json.dumps(value)}".replace('"', "") for key, value in chosen.items()]


def _why(run: Run | None) -> list[str]:
    error = (run.document.get("error") or {}) if run else {}
    if not error:
        return ["", ""]
    return [f"{error.get('type')}: {error.get('message')}", error.get("advice") or ""]


def _component(component: Mapping[str, Any] | None) -> str | None:
    if not component:
        return None
    return ", ".join(assignments(component)).removeprefix("name=")
