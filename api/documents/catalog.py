"""The documents of components."""

from __future__ import annotations

from typing import Any, Literal

from api.documents.base import Document


class Validity(Document):
    """What one number of a metric gave in known worlds, as the names of properties."""

    setting: str
    """The metric with the params that were chosen, as in `dci:predictor=lasso`."""
    number: str
    fails: list[str]
    """Properties of a good score that it fails."""
    has: list[str]
    """Properties of a good score that it has. Some apply to no number of a kind."""
    penalises: list[str]
    """The changes of a perfect code that it penalises, which say what it measures."""


class CatalogEntry(Document):
    """A component, or a preset."""

    name: str
    summary: str
    description: str
    """The component's documentation: its formula, range and sources. For a preset, what
    differs from its source."""
    version: int
    """It changes when the component's numbers do, or the preset's spec."""
    params_schema: dict[str, Any]
    """The JSON Schema of the component's parameters, or of what may be chosen about a preset."""
    source: str
    """The module that defines a component, or the work that a preset is from."""
    of: Literal["run", "study", "dataset"] | None
    """What a plot is a picture of. It is null for all other components."""
    validity: list[Validity]
    """For each number of a metric of which one direction is better, and which was driven through
    known worlds. It is empty for all other components."""
