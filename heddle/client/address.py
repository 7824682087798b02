"""Paths on the server, with whatever a person typed in them as one part each."""

from __future__ import annotations

from urllib.parse import quote


def address(*parts: str) -> str:
    """`/v1/…` of these parts; in an id, `?`, `#`, `/` and `%` are letters like others."""
    return "/".join(["/v1", *(quote(part, safe="") for part in parts)])
