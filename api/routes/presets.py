"""Presets: the experiments of known works, ready to be posted."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from api.documents.base import Page
from api.documents.presets import PresetDocument, PresetEntry, preset_document, preset_entry
from ml.experiments.experiment import MAX_RUNS
from ml.experiments.presets.preset import Choices, preset, presets

router = APIRouter(prefix="/v1/presets", tags=["presets"])


@router.get("", operation_id="list_presets")
def index() -> Page[PresetEntry]:
    """List the presets by name."""
    return Page(items=[preset_entry(one) for one in presets().values()])


@router.get("/{name}", operation_id="get_preset")
def show(
    name: str,
    dataset: Annotated[
        str | None,
        Query(
            min_length=1, max_length=200, description="The data set to train on, in place of its."
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        Query(ge=1, le=MAX_RUNS, description="The number of seeds: 0, 1, 2 and so on."),
    ] = None,
) -> PresetDocument:
    """Show a preset: its spec with these choices, its source, and what differs from that.

    Nothing starts. The spec can be posted as it is, or be changed further. Whether it can be run,
    as with another data set, is checked when it is posted (or with `dry_run`).
    """
    return preset_document(preset(name).with_choices(Choices(dataset=dataset, seeds=seeds)))
