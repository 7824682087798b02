"""The filters of a list, read from the query parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field, dataclass, fields
from inspect import Parameter, Signature
from typing import Annotated, Any, Generic, TypeVar, get_type_hints

from fastapi import Depends, Query

from api.http.query import Cursor, Limit, Since, Swept, Until, seconds, swept_values

Filters = TypeVar("Filters")

# The filters that need a conversion: the type of the query parameter, and the function that makes
# the store's value of it.
_WRITTEN: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "swept": (Swept, swept_values),
    "since": (Since, seconds),
    "until": (Until, seconds),
}


@dataclass(frozen=True, slots=True)
class Asked(Generic[Filters]):
    """What a request asks of a list: its filters and the page."""

    filters: Filters
    limit: int
    cursor: str | None


def asked(filters: Callable[..., Filters]) -> Any:
    """A dependency that reads `Asked` from the query. Each field of the filters is a parameter.

    Raises:
        InvalidSpec: `swept` is malformed. Faults of single parameters are found before.
    """

    async def read(limit: int, cursor: str | None, **given: Any) -> Asked[Filters]:
        values = {
            name: _WRITTEN[name][1](value) if name in _WRITTEN else value
            for name, value in given.items()
        }
        return Asked(filters(**values), limit, cursor)

    known: Any = filters
    hints = get_type_hints(filters)
    read.__signature__ = Signature(  # type: ignore[attr-defined]
        [
            *(
                _parameter(one.name, _annotation(one, hints[one.name]), None)
                for one in fields(known)
            ),
            _parameter("limit", Limit, 50),
            _parameter("cursor", Cursor, None),
        ]
    )
    return Depends(read)


def _annotation(one: Field[Any], kind: Any) -> Any:
    if one.name in _WRITTEN:
        return _WRITTEN[one.name][0]
    return Annotated[kind, Query(description=one.metadata.get("description"))]


def _parameter(name: str, annotation: Any, default: Any) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
