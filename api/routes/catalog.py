"""The catalogue: every component with its parameters, and every preset."""

from __future__ import annotations

from fastapi import APIRouter

from api.documents.catalog import CatalogEntry, Validity
from ml.components.registry import components, kinds
from ml.evaluation.validity.certificate import certificates
from ml.experiments.presets.preset import Choices, Preset, presets
from ml.plots.protocol import Plot

router = APIRouter(prefix="/v1/catalog", tags=["catalog"])


@router.get("", operation_id="get_catalog")
def catalog() -> dict[str, list[CatalogEntry]]:
    """List objectives, metrics, data sets, models, optimizers, schedules, plots and presets."""
    found = {plural: _entries(kind) for plural, kind in kinds().items()}
    return found | {"presets": [_preset(one) for one in presets().values()]}


def _entries(kind: str) -> list[CatalogEntry]:
    return [
        CatalogEntry(
            name=name,
            summary=component.summary(),
            description=component.description(),
            version=component.version,
            params_schema=component.model_json_schema(),
            source=component.__module__,
            of=component.of if issubclass(component, Plot) else None,
            validity=_validity(name) if kind == "metric" else [],
        )
        for name, component in components(kind).items()
    ]


def _validity(metric: str) -> list[Validity]:
    return [
        Validity(
            setting=one.label,
            number=number,
            fails=list(one.failed(number)),
            has=one.passed(number),
            penalises=one.sees(number),
        )
        for one in certificates()
        if one.metric == metric
        for number in one.judged()
    ]


def _preset(found: Preset) -> CatalogEntry:
    return CatalogEntry(
        name=found.name,
        summary=found.summary,
        description="\n\n".join([found.summary, *found.differs]),
        version=found.version,
        params_schema=Choices.model_json_schema(),
        source=found.source,
        of=None,
        validity=[],
    )
