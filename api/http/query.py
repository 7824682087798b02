"""Query parameters: the common ones of lists, and the refusal of unknown ones."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from itertools import chain, islice
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, Query, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import AwareDatetime

from api.http.body import storable
from ml.components.registry import nearest
from ml.components.spec_errors import MOST_FAULTS, Fault, InvalidSpec, shown

Limit = Annotated[int, Query(ge=1, le=500, description="Items a page.")]
Cursor = Annotated[str | None, Query(description="`next_cursor` of the page before.")]

Since = Annotated[
    AwareDatetime | None, Query(description="Not older than this time, as in 2026-01-31T00:00:00Z.")
]
Until = Annotated[AwareDatetime | None, Query(description="Older than this time.")]


Swept = Annotated[
    str | None,
    Query(
        description="At a place of a sweep with these values, as in objective.beta=4,seed=1. A"
        " value is read as JSON, or else as text."
    ),
]


def swept_values(text: str | None) -> dict[str, Any] | None:
    """The values of a `swept` parameter by their dotted paths.

    Raises:
        InvalidSpec: the parameter is malformed.
    """
    if text is None:
        return None
    values: dict[str, Any] = {}
    for part in text.split(","):
        path, equals, given = part.partition("=")
        if not equals or _PATH.fullmatch(path) is None:
            expected = "path=value, as in objective.beta=4, with commas between several"
            raise InvalidSpec([Fault("swept", shown(part), expected)])
        value = _value(given)
        if isinstance(value, str) and not storable(value):
            raise InvalidSpec(
                [Fault("swept", shown(part), "text without NUL or unpaired surrogates")]
            )
        values[path] = value
    return values


_PATH = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*")


def _value(text: str) -> Any:
    if text[:1] in ("[", "{"):
        # Lists and objects find no place of a sweep, and deeply nested ones cannot be parsed.
        return text
    try:
        value = json.loads(text, parse_constant=str)
    except ValueError:
        return text
    plain = isinstance(value, (str, bool)) or (
        isinstance(value, int | float) and abs(value) < 2**63
    )
    return value if plain else text


def seconds(moment: datetime | None) -> float | None:
    """A time as the store has it: in seconds since the epoch."""
    return None if moment is None else moment.timestamp()


async def _whole_query(request: Request) -> dict[str, str]:
    """Every query parameter, for a route whose known parameters depend on its path."""
    return dict(request.query_params)


WholeQuery = Annotated[dict[str, str], Depends(_whole_query)]
"""A route that takes this refuses unknown parameters itself."""


async def only_known(request: Request) -> None:
    """Refuse parameters that the route does not read, so that no misspelt filter is ignored.

    A parameter with two values is refused too, since the route would ignore one of them.

    Raises:
        InvalidSpec: with the parameters at fault and the known ones.
    """
    route = request.scope.get("route")
    if not isinstance(route, APIRoute):
        return
    given = request.query_params.multi_items()
    # A dict, for fast look-ups: a query may have thousands of names.
    known = dict.fromkeys(_parameters(route.dependant))
    if any(one.call is _whole_query for one in route.dependant.dependencies):
        known = dict.fromkeys(name for name, _ in given)
    expected = "one of the parameters " + ", ".join(known) if known else "no parameters"
    names = Counter(name for name, _ in given)
    unknown = (
        Fault(shown(name), shown(value), expected, nearest(name, known))
        for name, value in given
        if name not in known
    )
    several = (
        Fault(shown(name), shown(request.query_params.getlist(name)), "a single value")
        for name in known
        if names[name] > 1
    )
    unstorable = (
        Fault(shown(name), shown(value), "text without NUL")
        for name, value in [*given, *request.path_params.items()]
        if not storable(str(value))
    )
    faults = list(islice(chain(unknown, several, unstorable), MOST_FAULTS))
    if faults:
        raise InvalidSpec(faults)


def _parameters(dependant: Dependant) -> Iterator[str]:
    """The query parameters that a route and its dependencies read."""
    yield from (field.alias for field in dependant.query_params)
    for dependency in dependant.dependencies:
        yield from _parameters(dependency)


def link_next(request: Request, response: Response, next_cursor: str | None) -> None:
    """Put the address of the next page into the Link header (RFC 8288)."""
    if next_cursor is None:
        return
    parameters: dict[str, Any] = {**request.query_params, "cursor": next_cursor}
    response.headers["Link"] = f'<{request.url.path}?{urlencode(parameters)}>; rel="next"'
