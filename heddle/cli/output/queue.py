"""The queue, the workers and found work as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.filesize import decimal
from rich.table import Table

from heddle.cli.output.table import add_row, duration, titled_table


def queue_table(document: Mapping[str, Any]) -> Table:
    """One row a waiting job, in order."""
    counts = ", ".join(f"{count} {kind} workers" for kind, count in document["workers"].items())
    columns = ["", "kind", "work", "owner", "priority", "starts in", "takes", "why"]
    table = titled_table(f"queue ({counts})", columns)
    for item in document["items"]:
        add_row(
            table,
            [
                str(item["position"]),
                item["kind"],
                item["run"] or item["evaluation"],
                item["owner"],
                f"{item['priority']}{' short' if item['short'] else ''}",
                _duration(item["starts_in_seconds"]),
                _duration(item["seconds"]),
                item["reason"],
            ],
        )
    return table


def share_table(document: Mapping[str, Any]) -> Table:
    """One row for each owner and kind of work: their recent share of the workers."""
    columns = ["owner", "kind", "running", "waiting", "served", "share"]
    table = titled_table("who had the workers lately", columns)
    for one in document["owners"]:
        share = "" if one["share"] is None else f"{one['share']:.0%}"
        counts = [str(one["running"]), str(one["waiting"])]
        add_row(
            table, [one["owner"], one["kind"], *counts, _duration(one["served_seconds"]), share]
        )
    return table


def worker_table(workers: Iterable[Mapping[str, Any]]) -> Table:
    """One row a worker."""
    table = titled_table("workers", ["worker", "kind", "device", "memory", "free", "state", "at"])
    for one in workers:
        jobs = [job["run"] or job["evaluation"] for job in one["jobs"]]
        add_row(
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
    table = titled_table("", ["id", "state", "posted", "what"])
    for item in items:
        what = item.get("name") or f"{item['objective']} on {item['dataset']}, seed {item['seed']}"
        if item.get("tags"):
            what += f" [{', '.join(item['tags'])}]"
        if item.get("notes"):
            what += f": {item['notes']}"
        add_row(table, [item["id"], item["state"], item["created_at"][:16], what])
    return table


def _duration(seconds: float | None) -> str:
    return "?" if seconds is None else duration(seconds)


def _bytes(number: int | None) -> str:
    return "?" if number is None else decimal(number)
