"""Experiments by their tags, which lie in a JSON column."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Text, cast, func, select, true
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
