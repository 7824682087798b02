"""Made-up entries of a record of benchmarks."""

from __future__ import annotations

from typing import Any

from benchmarks.record import Figure, Row, Table

HARDWARE = {
    "processor": "A processor",
    "flags": ["avx2"],
    "cores": 2,
    "memory_gib": 24,
    "gpu": None,
}
VERSIONS = {"python": "3.11.1", "torch": "2.13.0", "numpy": "2.4.6", "scikit-learn": "1.9.1"}


def entry(figures: dict[str, Figure | str | None], **changed: Any) -> dict[str, Any]:
    """An entry of one table, `posting`, with one row, `sqlite`."""
    table = Table(
        "posting", "python -m benchmarks.posting", ["database"], [Row(["sqlite"], figures)]
    )
    return {
        "command": table.command,
        "quick": False,
        "hardware": HARDWARE,
        "versions": VERSIONS,
        "commit": "0123456789",
        "date": "2026-11-29T12:00:00+00:00",
        "load": 0.2,
        "seconds": 12.5,
        "tables": [table.json()],
        **changed,
    }


def record(**entries: Any) -> dict[str, Any]:
    return {"format": 1, "benchmarks": entries}
