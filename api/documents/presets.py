"""The documents of presets."""

from __future__ import annotations

from typing import Any

from api.documents.base import Document
from ml.experiments.presets.preset import Look, Preset


class PresetEntry(Document):
    """A preset in the list."""

    name: str
    summary: str
    source: str
    """The work that it is from: authors, year, address."""
    datasets: list[str]
    """The data sets of the work. Each of them makes an experiment."""
    runs: int
    """The number of runs that its spec asks for."""
    links: dict[str, str]


class PresetDocument(PresetEntry):
    """A preset with its spec, which can be posted as it is."""

    version: int
    """It changes when the spec does."""
    places: list[str]
    """Where in the work, or in code, each of the spec's values was found."""
    differs: list[str]
    """What the work used and the spec lacks or does otherwise, and what is not known of it."""
    look: list[Look]
    """Plots of the experiment that show what it is about."""
    spec: dict[str, Any]
    """The body to POST to `/v1/experiments`."""


def preset_entry(found: Preset) -> PresetEntry:
    return PresetEntry(**_entry(found))


def preset_document(found: Preset) -> PresetDocument:
    return PresetDocument(
        **_entry(found),
        version=found.version,
        places=found.places,
        differs=found.differs,
        look=found.look,
        spec=found.spec,
    )


def _entry(found: Preset) -> dict[str, Any]:
    return {
        "name": found.name,
        "summary": found.summary,
        "source": found.source,
        "datasets": found.datasets,
        "runs": found.runs,
        "links": {"self": f"/v1/presets/{found.name}", "experiments": "/v1/experiments"},
    }
