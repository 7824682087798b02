"""The documents of components."""

from __future__ import annotations

from typing import Any, Literal

from api.documents.base import Document


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
