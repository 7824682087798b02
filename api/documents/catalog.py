"""The documents of components."""

from __future__ import annotations

from typing import Any, Literal

from api.documents.base import Document


class CatalogEntry(Document):
    """A component."""

    name: str
    summary: str
    description: str
    """The component's documentation: its formula, range and sources."""
    version: int
    """It changes when the component's numbers do."""
    params_schema: dict[str, Any]
    """The JSON Schema of the component's parameters."""
    source: str
    """The module that defines it."""
    of: Literal["run", "study", "dataset"] | None
    """What a plot is a picture of. It is null for all other components."""
