"""The queue, the workers and what was found, as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from rich.filesize import decimal
from rich.table import Table
from rich.text import Text


def queue_table(document: Mapping[str, Any]) -> Table:
    """One row a job that waits, in order."""
    counts = ", ".join(f"{count} {kind} workers" for kind, count in document["workers"].items())
    columns = ["", "kind", "work", "owner", "priority", "starts in", "takes", "why"]
    table = _table(f"queue ({counts})", columns)
    for item in document["items"]:
        _add_row(
            table,
            [
                str(item["position"]),
                item["kind"],
                item["run"] or item["evaluation"],
                item["owner"],
                f"{item['priority']}{' short' if item['short'] else ''}",
                duration(item["starts_in_seconds"]),
                duration(item["seconds"]),
                item["reason"],
            ],
        )
    return table


def share_table(document: Mapping[str, Any]) -> Table:
    """One row an owner and kind of work: who has had what lately."""
    columns = ["owner", "kind", "running", "waiting", "served", "share"]
    table = _table("who had the workers lately", columns)
    for one in document["owners"]:
        share = "" if one["share"] is None else f"{one['share']:.0%}"
        counts = [str(one["running"]), str(one["waiting"])]
        _add_row(
            table, [one["owner"], one["kind"], *counts, duration(one["served_seconds"]), share]
        )
    return table


def worker_table(workers: Iterable[Mapping[str, Any]]) -> Table:
    """One row a worker."""
    table = _table("workers", ["worker", "kind", "device", "memory", "free", "state", "at"])
    for one in workers:
        jobs = [job["run"] or job["evaluation"] for job in one["jobs"]]
        _add_row(
            table,
            [
                one["name"],
                one["kind"],
                f"{one['device']} ({one['device_model']})",
                _bytes(one["memory_bytes"]),
                _bytes(one["memory_free_bytes"]),
                one["state"],
                one["trouble"] or ", ".join(jobs),
            ],
        )
    return table


def found_table(items: Iterable[Mapping[str, Any]]) -> Table:
    """One row a run or an experiment."""
    table = _table("", ["id", "state", "posted", "what"])
    for item in items:
        what = item.get("name") or f"{item['objective']} on {item['dataset']}, seed {item['seed']}"
        if item.get("tags"):
            what += f" [{', '.join(item['tags'])}]"
        if item.get("notes"):
            what += f": {item['notes']}"
        _add_row(table, [item["id"], item["state"], item["created_at"][:16], what])
    return table


def duration(seconds: float | None) -> str:
    """Hours, minutes and seconds; a question mark for what is not known."""
    return "?" if seconds is None else str(timedelta(seconds=round(seconds)))


def _bytes(number: int | None) -> str:
    return "?" if number is None else decimal(number)


def _table(title: str, columns: Iterable[str]) -> Table:
    table = Table(title=Text(title) if title else None, title_justify="left")
    for name in columns:
        table.add_column(Text(name), overflow="fold")
    return table


def _add_row(table: Table, cells: Iterable[str]) -> None:
    # Text, as a message may hold brackets that are no markup.
    table.add_row(*(Text(cell) for cell in cells))
