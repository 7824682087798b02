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
"""Plots that have an address of their own, by plot and suffix."""


def fetch_plot(
    client: Connection, place: str, plot: str, path: str | Path, params: Mapping[str, Any]
) -> Path:
    """Fetch a plot of a run, experiment or data set into a file, in the format of its suffix.

    `place` is the path of what is drawn, such as `/v1/runs/run_01`. Lists among the params are sent
    with commas. Params that are None are not sent.

    Raises:
        ValueError: the plot does not come in the format of the suffix.
        HeddleError: the server's answer is not a success.
        ServerUnreachable: there is no answer.
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
