"""Experiments by what lies in JSON columns: tags, and the values of a sweep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Text, and_, cast, func, select, true
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from store import tables


def has_tag(session: Session, tag: str) -> ColumnElement[bool]:
    """The condition on an experiment that it has this tag."""
    tags = tables.Experiment.tags
    if session.get_bind().dialect.name == "postgresql":
        return cast(tags, JSONB).contains([tag])
    each = func.json_each(tags).table_valued("value")
    return select(true()).select_from(each).where(cast(each.c.value, Text) == tag).exists()


def has_swept(session: Session, values: Mapping[str, Any]) -> ColumnElement[bool]:
    """The condition on a place of a sweep that it has these values, which are no objects."""
    swept = tables.ExperimentRun.swept
    if session.get_bind().dialect.name == "postgresql":
        return cast(swept, JSONB).contains(dict(values))
    # json_extract gives 1 and 0 for true and false, as the driver does.
    each = (func.json_extract(swept, f'$."{path}"') == value for path, value in values.items())
    return and_(true(), *each)
