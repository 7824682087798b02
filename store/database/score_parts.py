"""The two parts of a score's document that tables of many runs read, as SQL expressions.

A document holds matrices and more, a few kilobytes. Reading and taking apart sixty thousand of them
takes seconds, so the database keeps these parts in columns of their own, as generated columns: it
computes them itself when a score is written, and they cannot differ from the document.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

NUMBERS = ("value", "error", "null", "ci95")
"""What each score has for itself."""
SETTING = (
    "metric",
    "name",
    "higher_is_better",
    "range",
    "perfect",
    "codes",
    "images",
    "params",
    "definition",
    "rows",
    "population",
    "train_rows",
    "factors",
    "groups",
)
"""What the scores of many runs have in common. Equal texts are equal settings."""


class Parts(FunctionElement[str]):
    """A JSON array, as text, of the values of a score's document under some names.

    A name that the document lacks has a null.
    """

    type = Text()
    inherit_cache = False

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.names = names


@compiles(Parts, "sqlite")
def _parts_sqlite(parts: Parts, *_: Any, **__: Any) -> str:
    return f"json_extract(document, {', '.join(_path(name) for name in parts.names)})"


def _path(name: str) -> str:
    return f"'$.{name}'"


@compiles(Parts, "postgresql")
def _parts_postgresql(parts: Parts, *_: Any, **__: Any) -> str:
    # A generated column must not call jsonb_build_array, which may depend on the session.
    values = (f"coalesce((document -> '{name}')::text, 'null')" for name in parts.names)
    return "'[' || " + " || ',' || ".join(values) + " || ']'"
