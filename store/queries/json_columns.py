"""Looking into JSON columns: tags, values of a sweep, and parts of documents as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Text,
    and_,
    cast,
    func,
    literal,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import InstrumentedAttribute, Session

from store.database import tables


def has_tag(session: Session, tag: str) -> ColumnElement[bool]:
    """The condition on an experiment that it has this tag."""
    tags = tables.Experiment.tags
    if session.get_bind().dialect.name == "postgresql":
        return cast(tags, JSONB).contains([tag])
    each = func.json_each(tags).table_valued("value")
    return select(true()).select_from(each).where(cast(each.c.value, Text) == tag).exists()


def has_swept(session: Session, values: Mapping[str, Any]) -> ColumnElement[bool]:
    """The condition on a place of a sweep that it has these values. None of them is an object."""
    swept = tables.ExperimentRun.swept
    if session.get_bind().dialect.name == "postgresql":
        return cast(swept, JSONB).contains(dict(values))
    # json_extract gives 1 and 0 for true and false, as the driver does.
    each = (func.json_extract(swept, f'$."{path}"') == value for path, value in values.items())
    return and_(true(), *each)


def text_without_key(
    session: Session, column: InstrumentedAttribute[dict[str, Any]], key: str
) -> ColumnElement[str]:
    """A JSON object without one of its keys, as text."""
    if session.get_bind().dialect.name == "postgresql":
        return cast(cast(column, JSONB).op("-")(literal(key, Text)), Text)
    return func.json_remove(column, f"$.{key}", type_=Text)


def text_at(
    session: Session, column: InstrumentedAttribute[dict[str, Any] | None], key: str
) -> ColumnElement[str | None]:
    """The object under a key of a JSON object, as text; null where there is none."""
    if session.get_bind().dialect.name == "postgresql":
        return cast(cast(column, JSONB).op("->")(literal(key, Text)), Text)
    return func.json_extract(column, f"$.{key}", type_=Text)
