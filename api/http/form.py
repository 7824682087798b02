"""Forms (multipart/form-data), read within bounds. Their files go to disk as they come in."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from api.http.negotiation import media_type
from api.http.problems import BadRequest
from ml.components.spec_errors import Fault, shown

MEDIA_TYPE = "multipart/form-data"
CHARSETS = ("utf-8", "utf8", "us-ascii")
LONGEST_LENGTH = 20
"""The most digits of a Content-Length that are read. A longer one is too large."""


class FieldTooLarge(BadRequest):
    """A part that is not a file has more bytes than allowed."""


@dataclass(frozen=True)
class FormBounds:
    """The limits on a form."""

    body_bytes: int
    files: int
    fields: int
    """The most parts that are not files."""
    field_bytes: int
    """The most bytes of each such part."""
    too_large: str
    """The message for a body that has more than `body_bytes`."""


async def read_form(
    request: Request, bounds: FormBounds, *, expected: str, called: str = MEDIA_TYPE
) -> FormData:
    """The form in a request. The caller closes it.

    Args:
        request: the request.
        bounds: the limits on the form.
        expected: the description of the expected body, for the message about another media type.
        called: the name of such a body, for the message about one that cannot be read.

    Raises:
        BadRequest: 413 for a body that is too large, 415 for another media type or a charset other
            than UTF-8, 400 for a body that is not multipart or has too many parts.
        FieldTooLarge: 400 for a part that is not a file and is too large.
    """
    came = media_type(request.headers)
    if came != MEDIA_TYPE:
        raise BadRequest(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"The body must be {expected}, but is {shown(came)!r}.",
        )
    _check_charset(request)
    parser = MultiPartParser(
        request.headers,
        _bounded(request, bounds),
        max_files=bounds.files,
        max_fields=bounds.fields,
        max_part_size=bounds.field_bytes,
    )
    try:
        return await parser.parse()
    except ClientDisconnect:
        raise BadRequest(HTTPStatus.BAD_REQUEST, "The body ended before it was whole.") from None
    except MultiPartException as error:
        # The only size that the parser itself checks is that of a part that is not a file.
        refusal = FieldTooLarge if "maximum size" in error.message else BadRequest
        raise refusal(
            HTTPStatus.BAD_REQUEST, f"The body is not {called}: {error.message}"
        ) from None


def _check_charset(request: Request) -> None:
    """Refuse a form whose text is not UTF-8. The parser would decode it by the charset it names.

    Some charsets give unpaired surrogates, and some take minutes to decode.

    Raises:
        BadRequest: 415.
    """
    _, options = parse_options_header(request.headers.get("content-type"))
    charset = options.get(b"charset", b"utf-8").decode("latin-1")
    if charset.lower() not in CHARSETS:
        raise BadRequest(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"The text of a form must be in UTF-8, but its charset is {shown(charset)!r}.",
        )


async def _bounded(request: Request, bounds: FormBounds) -> AsyncGenerator[bytes]:
    most = bounds.body_bytes
    length = request.headers.get("content-length", "")
    if length.isdecimal() and (len(length) > LONGEST_LENGTH or int(length) > most):
        raise too_large(bounds.too_large)
    seen = 0
    async for chunk in request.stream():
        seen += len(chunk)
        if seen > most:
            raise too_large(bounds.too_large)
        yield chunk


def too_large(detail: str) -> BadRequest:
    """The refusal of a body or a part that has too many bytes."""
    return BadRequest(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)


def repeated(form: FormData, names: Iterable[str]) -> list[Fault]:
    """The faults of parts that came several times and may come only once."""
    counts = Counter(name for name, _ in form.multi_items())
    return [Fault(name, f"{counts[name]} parts", "one part") for name in names if counts[name] > 1]


def below(part: str, faults: Sequence[Fault]) -> list[Fault]:
    """The faults of a part, with their paths in the whole request."""
    return [replace(fault, path=f"{part}.{fault.path}" if fault.path else part) for fault in faults]


def form_content(**parts: Any) -> dict[str, Any]:
    """The OpenAPI content of a form with these parts. The part `file` is required."""
    return {
        MEDIA_TYPE: {
            "schema": {
                "type": "object",
                "required": ["file"],
                "additionalProperties": False,
                "properties": parts,
            }
        }
    }
