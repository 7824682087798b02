"""The media type that a client wants, by its Accept header (RFC 9110, 12.5.1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from fastapi import Request
from starlette.datastructures import Headers

Kind = TypeVar("Kind", bound=str)


class NotAcceptable(Exception):
    """A client accepts none of the media types that are offered."""

    def __init__(self, accepted: str, offered: Iterable[str]) -> None:
        super().__init__(f"The Accept header asks for {accepted!r}; there is {', '.join(offered)}.")


def best_match(request: Request, offered: Mapping[Kind, str]) -> Kind:
    """The kind whose media type has the highest quality, the first of several with the same.

    `offered` maps kinds to media types, the default first.

    Raises:
        NotAcceptable: the client accepts none of them.
    """
    accepted = request.headers.get("accept", "*/*")
    ranges = [_range(part) for part in accepted.split(",") if part.strip()]
    liked = {kind: _quality(media, ranges) for kind, media in offered.items()}
    best = max(liked, key=lambda kind: liked[kind])
    if liked[best] == 0:
        raise NotAcceptable(accepted[:200], offered.values())
    return best


def prefers_json(request: Request) -> bool:
    """Whether the Accept header prefers JSON to text. A header that accepts anything does not.

    Media types with the same quality count in the order in which the header names them.
    """
    ranges = map(_range, request.headers.get("accept", "").split(","))
    ranked = sorted(ranges, key=lambda one: -one[1])
    named = [media for media, quality in ranked if quality > 0 and media in (*_JSON, *_TEXT)]
    return bool(named) and named[0] in _JSON


_JSON = ("application/json", "application/*")
_TEXT = ("text/plain", "text/*", "*/*")


def takes_gzip(request: Request) -> bool:
    """Whether the client accepts gzip, by its Accept-Encoding header."""
    given = dict(map(_range, request.headers.get("accept-encoding", "").split(",")))
    return given.get("gzip", given.get("*", 0.0)) > 0


def media_type(headers: Headers, default: str = "") -> str:
    """The media type of a body without its parameters, in lower case, as case does not matter."""
    return headers.get("content-type", default).partition(";")[0].strip().lower()


def _range(part: str) -> tuple[str, float]:
    media, *params = (piece.strip() for piece in part.split(";"))
    quality = 1.0
    for param in params:
        name, _, value = param.partition("=")
        if name.strip().lower() == "q":
            try:
                quality = min(1.0, max(0.0, float(value)))
            except ValueError:
                quality = 0.0
    return media.lower(), quality


def _quality(media: str, ranges: list[tuple[str, float]]) -> float:
    """The quality of a media type, by the most specific range that has it."""
    family = media.partition("/")[0]
    for wanted in (media, f"{family}/*", "*/*"):
        qualities = [quality for given, quality in ranges if given == wanted]
        if qualities:
            return max(qualities)
    return 0.0
