"""Codes, anomalies and neighbours of images as tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from heddle.cli.output.table import add_row, shown, titled_table


def codes_table(labels: Sequence[str], items: Sequence[Mapping[str, Any]]) -> Table:
    """One row an image: its code."""
    table = titled_table(
        "codes", ["image", *(f"z{latent}" for latent in range(len(items[0]["mean"])))]
    )
    for label, item in zip(_one_each(labels, len(items)), items, strict=True):
        add_row(table, [label, *map(shown, item["mean"])])
    return table


def anomaly_table(labels: Sequence[str], document: Mapping[str, Any]) -> Table:
    """One row an image: how unlike the training data it is."""
    items, reference = document["items"], document["reference"]
    title = f"percentile among {reference['rows']:,} {reference['source']}: low is anomalous"
    numbers = ("percentile", "elbo", "reconstruction", "kl")
    table = titled_table(title, ["image", *numbers])
    for label, item in zip(_one_each(labels, len(items)), items, strict=True):
        add_row(table, [label, *(shown(item[name]) for name in numbers)])
    return table


def neighbours_table(items: Sequence[Mapping[str, Any]]) -> Table:
    """One row a neighbour, the nearest first."""
    factors = list(items[0]["factors"] or {}) if items else []
    table = titled_table("nearest first", ["image", "distance", *factors])
    for item in items:
        cells = [shown(item["factors"][name]) for name in factors]
        add_row(table, [str(item["index"]), shown(item["distance"]), *cells])
    return table


def _one_each(labels: Sequence[str], count: int) -> list[str]:
    """A label for each image, as a file may hold several images."""
    if len(labels) == count:
        return list(labels)
    of = f"{labels[0]} " if len(labels) == 1 else ""
    return [f"{of}#{place}" for place in range(count)]
