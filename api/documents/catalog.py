"""The documents of components."""

from __future__ import annotations

from typing import Any, Literal

from api.documents.base import Document


class CatalogEntry(Document):
    """A component."""

    name: str
    summary: str
    description: str
    """Formula, range, sources: the component's own documentation."""
    version: int
    """Changes when its numbers do."""
    params_schema: dict[str, Any]
    """JSON Schema of its parameters."""
    source: str
    """The module that defines it."""
    of: Literal["run", "study", "dataset"] | None
    """What a plot is a picture of; null for all but plots."""
