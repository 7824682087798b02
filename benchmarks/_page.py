"""`docs/benchmarks.md`: tables between markers are those of the record, and the rest is prose.

A block is what lies between `<!-- bench: NAME -->` and `<!-- end -->`. NAME is that of a table, or
that of a script, for all of its tables that have no block of their own. The record replaces a
block's text. A block whose NAME the record does not have keeps the text that somebody wrote.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks._machine import ROOT
from benchmarks.record import table_from_json

PAGE = ROOT / "docs" / "benchmarks.md"
BLOCK = re.compile(r"(<!-- bench: (?P<name>[^>]+?) -->\n)(?P<text>.*?)(<!-- end -->)", re.DOTALL)
SHOWN = ("torch", "numpy", "scikit-learn")
"""Versions that a page tells. The record has all."""


def written(page: str, record: Mapping[str, Any]) -> str:
    """The page with every block that the record has tables for."""
    texts = _texts(record, names(page))

    def replaced(block: re.Match[str]) -> str:
        text = texts.get(block["name"], block["text"].strip("\n"))
        between = f"\n{text}\n\n" if text else ""
        return f"{block[1]}{between}{block[4]}"

    return BLOCK.sub(replaced, page)


def names(page: str) -> list[str]:
    """The names of a page's blocks."""
    return [block["name"] for block in BLOCK.finditer(page)]


def _texts(record: Mapping[str, Any], blocks: Sequence[str]) -> dict[str, str]:
    """The text of each block, by its name."""
    found: dict[str, list[str]] = {}
    for name, entry in record["benchmarks"].items():
        for table in entry["tables"]:
            place = table["name"] if table["name"] in blocks else name
            found.setdefault(place, []).append(_table(table, entry))
    return {name: "\n\n".join(tables) for name, tables in found.items()}


def _table(document: Mapping[str, Any], entry: Mapping[str, Any]) -> str:
    table = table_from_json(document)
    return f"`{table.command}`, on {measured_on(entry)}:\n\n{table.markdown()}"


def measured_on(entry: Mapping[str, Any]) -> str:
    """The machine, the versions, the day and the commit in a line."""
    hardware = entry["hardware"]
    flags = f" ({', '.join(hardware['flags'])})" if hardware["flags"] else ""
    versions = ", ".join(f"{name} {entry['versions'][name]}" for name in SHOWN)
    commit = f", commit {entry['commit']}" if entry["commit"] else ""
    return (
        f"{hardware['processor']}{flags}, {hardware['cores']} cores, {hardware['memory_gib']} GiB,"
        f" {hardware['gpu'] or 'no GPU'}, {versions}, on {entry['date'][:10]}{commit}, load average"
        f" {entry['load']} before"
    )
