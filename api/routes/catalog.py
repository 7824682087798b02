"""The catalogue: every component with its parameters."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter

from api.documents.base import Document
from ml.components.registry import components, kinds
from ml.plots.protocol import Plot

router = APIRouter(prefix="/v1/catalog", tags=["catalog"])


# Another schema has this name, so that OpenAPI names this one by its module: it stays here.
class Entry(Document):
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


@router.get("", operation_id="get_catalog")
def catalog() -> dict[str, list[Entry]]:
    """Objectives, metrics, data sets, models, optimizers, schedules and plots."""
    return {plural: _entries(kind) for plural, kind in kinds().items()}


def _entries(kind: str) -> list[Entry]:
    return [
        Entry(
            name=name,
            summary=component.summary(),
            description=component.description(),
            version=component.version,
            params_schema=component.model_json_schema(),
            source=component.__module__,
            of=component.of if issubclass(component, Plot) else None,
        )
        for name, component in components(kind).items()
    ]
