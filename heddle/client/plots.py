"""Pictures of runs, experiments and data sets, fetched as files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from heddle.client.connection import Connection
from heddle.client.download import fetch_file

SHORT = {
    ("traversal", ".png"): "traversal.png",
    ("traversal", ".gif"): "traversal.gif",
    ("training_film", ".gif"): "training.gif",
}
"""Where plots and films are served by themselves, by plot and suffix."""


def fetch_plot(
    client: Connection, place: str, plot: str, path: str | Path, params: Mapping[str, Any]
) -> Path:
    """A plot of what is served at a place (`/v1/runs/run_01`) as a file, a format by its suffix.

    Lists among the params are sent with commas, and what is None is not sent.

    Raises:
        ValueError: the file is to be of a format that the plot does not have.
        HeddleError: what the server answered, when it is not a success.
        ServerUnreachable: when there is no answer.
    """
    suffix = Path(path).suffix.lower()
    if (plot, suffix) in SHORT:
        served_at = f"{place}/{SHORT[plot, suffix]}"
    elif suffix in (".png", ".svg"):
        served_at = f"{place}/plots/{quote(plot, safe='')}{suffix}"
    else:
        formats = ".png or .gif, or in .svg" if (plot, ".gif") in SHORT else ".png or .svg"
        raise ValueError(f"Got the file {path}, expected one ending in {formats}")
    given = {name: _text(value) for name, value in params.items() if value is not None}
    return fetch_file(client, served_at, Path(path), given)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ",".join(map(_text, value))
    return str(value)
