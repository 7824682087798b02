"""Results of sweeps as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from heddle.cli.output.table import add_row, assignments, shown, titled_table

PLAIN = ("run_id", "state", "train_id", "error")


def results_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """One row a run: its swept values, scores and last values of curves."""
    names = [name for name in (rows[0] if rows else PLAIN[:2]) if name not in ("train_id", "error")]
    table = titled_table("", names)
    for row in rows:
        add_row(table, [shown(row[name]) for name in names])
    return table


def summary_tables(summary: Mapping[str, Any]) -> RenderableType:
    """The best settings, then scores by setting, then the sources of variance, then warnings."""
    return Group(
        _best(summary),
        *_udr(summary["udr_by_setting"]),
        _by_setting(summary["by_setting"]),
        _variance(summary["variance"]),
        *(Text(f"! {warning}") for warning in summary["warnings"]),
    )


def leaderboard_tables(tables: Iterable[Mapping[str, Any]]) -> RenderableType:
    """One table for each number, with the spread and seeds that show how far to trust a rank."""
    drawn: list[RenderableType] = []
    for one in tables:
        params = [*assignments(one["params"]), *assignments(one["depends_on"])]
        data = assignments(one["dataset"])
        order = "higher is better" if one["higher_is_better"] else "lower is better"
        rows = f"{one['rows']:,} rows"
        if one["train_rows"] is not None:
            rows += f", {one['train_rows']:,} of them to train on"
        title = (
            f"{one['name']}, {one['definition']}{' (' + ', '.join(params) + ')' if params else ''},"
            f" codes: {one['codes']},"
            f" {rows}{', of ' + ', '.join(data) if data else ''}, {order}"
        )
        columns = ["", "median", "worst to best", "seeds", "null", "setting", "best run"]
        table = titled_table(title, columns)
        for entry in one["entries"]:
            others = {k: value for k, value in entry["setting"].items() if k != "objective.name"}
            setting = ", ".join(assignments(others))
            worst_to_best = f"{shown(entry['worst'])} to {shown(entry['best'])}"
            add_row(
                table,
                [
                    str(entry["rank"]),
                    shown(entry["median"]),
                    worst_to_best,
                    f"{entry['seeds']}{'' if entry['enough_seeds'] else ' (few)'}",
                    shown(entry["null_mean"]),
                    f"{entry['objective']} {setting}",
                    entry["run_ids"][0],
                ],
            )
        drawn.append(table)
    return Group(*drawn) if drawn else Text("Nothing was scored on it yet.")


def _best(summary: Mapping[str, Any]) -> Table:
    columns = ["by", "setting", "median", "seeds", "more of"]
    table = titled_table("best setting, by the median over seeds", columns)
    unlabelled = summary["best_by_udr"]
    for one in [*summary["best"], *([unlabelled] if unlabelled else [])]:
        column = one.get("column") or f"udr, of {one['active_latents']:g} active latents"
        seeds = f"{one['seeds']}{'' if one['enough_seeds'] else ' (fewer than five)'}"
        more = _more(summary, one)
        add_row(table, [column, _setting(one["setting"]), shown(one["median"]), seeds, more])
    if not unlabelled:
        table.caption = Text(f"No UDR: {summary['udr_missing']}")
    return table


def _more(summary: Mapping[str, Any], best: Mapping[str, Any]) -> str:
    """What would make the setting's mean more certain: `seeds, 13 to halve`, or `rows`."""
    for setting in summary["by_setting"]:
        found = (setting.get("uncertainty") or {}).get(best.get("column"))
        if found and setting["setting"] == best["setting"]:
            if found["more"] == "seeds":
                return f"seeds, {found['seeds_to_halve']} to halve"
            return found["more"] or ""
    return ""


def _udr(settings: Sequence[Mapping[str, Any]]) -> list[Table]:
    """How alike models are over seeds, with the number of latents that they use."""
    if not settings:
        return []
    columns = ["setting", "median", "active latents", "seeds"]
    table = titled_table("likeness of models over seeds (UDR), without labels", columns)
    for one in settings:
        active = f"{one['active_latents']:g}"
        add_row(table, [_setting(one["setting"]), shown(one["median"]), active, str(one["seeds"])])
    return [table]


def _by_setting(settings: Sequence[Mapping[str, Any]]) -> Table:
    known = list(dict.fromkeys(name for one in settings for name in one["columns"]))
    # Where there are scores, the last values of curves add nothing to them.
    columns = [name for name in known if not name.startswith(("final.", "final["))] or known
    table = titled_table("median ± deviation, by setting", ["setting", "runs", *columns])
    table.columns[0].no_wrap = True
    for one in settings:
        cells = [_spread(one["columns"].get(name)) for name in columns]
        add_row(table, [_setting(one["setting"]), str(one["runs"]), *cells])
    return table


def _variance(shares: Mapping[str, Any]) -> Table:
    columns = ["score", "objective", "hyperparameter", "seed"]
    table = titled_table("share of a score's variance that is due to", columns)
    for name, share in shares.items():
        if share:
            cells = [share["objective"], share["hyperparameter"], share["seed"]]
            add_row(table, [name, *("" if one is None else f"{one:.0%}" for one in cells)])
    return table


def _spread(found: Mapping[str, Any] | None) -> str:
    if not found or found["median"] is None:
        return ""
    if found["std"] is None:
        return shown(found["median"])
    return f"{shown(found['median'])} ±{found['std']:.2g}"


def _setting(setting: Mapping[str, Any]) -> str:
    return ", ".join(assignments(setting)) or "the only one"
