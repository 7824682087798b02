"""The commit of the running code, if it runs from a checkout."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def commit() -> str | None:
    """The commit that is checked out, read from git's own files; None outside a checkout."""
    folder = Path(__file__).resolve().parents[2] / ".git"
    try:
        head = (folder / "HEAD").read_text().strip()
        name = head.removeprefix("ref: ")
        if name == head:
            return head
        loose = folder / name
        if loose.is_file():
            return loose.read_text().strip()
        for line in (folder / "packed-refs").read_text().splitlines():
            found, _, packed = line.partition(" ")
            if packed == name:
                return found
    except OSError:
        pass
    return None
