"""JSON bodies, read strictly. What Python's parser accepts and other parsers refuse is refused."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from itertools import islice
from typing import Annotated, Any

from anyio.to_thread import run_sync
from fastapi import Depends, Request

from api.http.negotiation import media_type
from api.http.problems import BadRequest
from ml.components.spec_errors import MOST_FAULTS, Fault, InvalidSpec, dotted, shown

MAX_BYTES = 1_000_000
SMALL_BYTES = 4096
MAX_DEPTH = 64
MAX_DIGITS = 1000
Place = tuple[str | int, ...]

JSON_TYPES = re.compile(r"application/json|.*\+json")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


async def body_bytes(request: Request) -> bytes:
    """The body of a request that sends JSON.

    Raises:
        BadRequest: 413 for more than a million bytes, 415 for another media type, 400 for an empty
            body.
    """
    came = media_type(request.headers, "application/json")
    if JSON_TYPES.fullmatch(came) is None:
        raise BadRequest(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"The body must be application/json, but is {shown(came)!r}.",
        )
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BYTES:
            raise BadRequest(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"The body may have {MAX_BYTES:,} bytes; send a sweep instead of a list of specs.",
            )
    if not body.strip():
        raise BadRequest(
            HTTPStatus.BAD_REQUEST,
            "The body is empty; send a JSON object, for an experiment with at least dataset and"
            " objective.",
        )
    return bytes(body)


def read_json(body: bytes, what: str = "The body") -> Any:
    """The value of a JSON text. Errors call the text `what`.

    Raises:
        BadRequest: 400 for text that is not JSON, or is nested too deeply.
        InvalidSpec: for NaN, infinities (also 1e999), and strings that no database can hold.
    """
    try:
        value = json.loads(body.decode(), object_pairs_hook=without_duplicates, parse_int=_integer)
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        raise BadRequest(HTTPStatus.BAD_REQUEST, f"{what} is not JSON: {error}.") from None
    faults = list(islice(_faults(value, ()), MOST_FAULTS))
    if faults:
        raise InvalidSpec(faults)
    return value


async def _json_body(body: Annotated[bytes, Depends(body_bytes)]) -> Any:
    # A thread takes longer to begin than a small body to be parsed. A large one would hold up all
    # other requests.
    return read_json(body) if len(body) <= SMALL_BYTES else await run_sync(read_json, body)


JsonBody = Annotated[Any, Depends(_json_body)]


def json_body(schema: Mapping[str, Any], example: Mapping[str, Any]) -> dict[str, Any]:
    """The OpenAPI request body of a route that takes JSON of this schema."""
    content = {"application/json": {"schema": dict(schema), "example": dict(example)}}
    return {"required": True, "content": content}


def without_duplicates(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these names and values.

    Raises:
        ValueError: a name stands twice.
    """
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the name {shown(name)!r} stands twice in one object")
        found[name] = value
    return found


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"a number has {len(digits)} digits, and {MAX_DIGITS} are read")
    return int(digits)


def _too_deep() -> BadRequest:
    return BadRequest(
        HTTPStatus.BAD_REQUEST, f"The JSON is nested too deeply: {MAX_DEPTH} levels are read."
    )


def _faults(value: Any, place: Place) -> Iterator[Fault]:
    if len(place) > MAX_DEPTH:
        raise _too_deep()
    if isinstance(value, float) and not math.isfinite(value):
        yield Fault(dotted(place), shown(value), "a finite number")
    elif isinstance(value, str) and not storable(value):
        yield Fault(dotted(place), shown(value), "text without NUL or unpaired surrogates")
    elif isinstance(value, dict):
        for name, item in value.items():
            if not storable(name):
                yield Fault(dotted(place), shown(name), "names without NUL or unpaired surrogates")
            else:
                yield from _faults(item, (*place, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _faults(item, (*place, index))


def storable(text: str) -> bool:
    """Whether every database can hold this text."""
    return _UNSTORABLE.search(text) is None
