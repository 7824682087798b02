"""Query parameters: pages of lists, and no parameter unread."""

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
    AwareDatetime | None, Query(description="Not older than this, as in 2026-01-31T00:00:00Z.")
]
Until = Annotated[AwareDatetime | None, Query(description="Older than this.")]


Swept = Annotated[
    str | None,
    Query(
        description="At a place of a sweep with these values, as in objective.beta=4,seed=1: JSON,"
        " or else text."
    ),
]


def swept_values(text: str | None) -> dict[str, Any] | None:
    """{dotted path: value} of a `swept` parameter.

    Raises:
        InvalidSpec: if it is not of that form.
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
        # No place of a sweep is found by them, and deep ones cannot be read.
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
    """A moment as the store has it."""
    return None if moment is None else moment.timestamp()


async def _whole_query(request: Request) -> dict[str, str]:
    """Every query parameter, for a route that knows only from its path which there are."""
    return dict(request.query_params)


WholeQuery = Annotated[dict[str, str], Depends(_whole_query)]
"""A route that takes this refuses names that it does not know itself."""


async def only_known(request: Request) -> None:
    """Refuse parameters that a route does not read: a misspelt filter must not be passed over.

    Nor may the first of two values.

    Raises:
        InvalidSpec: naming the parameter and those that are known.
    """
    route = request.scope.get("route")
    if not isinstance(route, APIRoute):
        return
    given = request.query_params.multi_items()
    # A dict, as a query may have thousands of names.
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
    """The query parameters that a route and what it depends on read."""
    yield from (field.alias for field in dependant.query_params)
    for dependency in dependant.dependencies:
        yield from _parameters(dependency)


def link_next(request: Request, response: Response, next_cursor: str | None) -> None:
    """Put the next page into the Link header, as RFC 8288 has it."""
    if next_cursor is None:
        return
    parameters: dict[str, Any] = {**request.query_params, "cursor": next_cursor}
    response.headers["Link"] = f'<{request.url.path}?{urlencode(parameters)}>; rel="next"'
