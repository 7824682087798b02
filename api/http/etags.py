"""ETags: content that a client has already is not sent again (RFC 9110, 13.1.2)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from fastapi import Request, Response

MAY_CHANGE = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
"""Headers of content that may change. Clients ask for it again each time. They do not guess another
media type."""


def etag_of(content: bytes) -> str:
    """The strong ETag of some content: its SHA-256."""
    return f'"{hashlib.sha256(content).hexdigest()}"'


def answer_unless_known(
    request: Request, content: bytes, media_type: str, headers: Mapping[str, str]
) -> Response:
    """An answer with content that may change. A client that has the content gets a 304."""
    etag = etag_of(content)
    headers = {"ETag": etag, **MAY_CHANGE, **headers}
    if known(request, etag):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=media_type, headers=headers)


def known(request: Request, etag: str) -> bool:
    """Whether If-None-Match has this ETag. Weak and strong ETags compare equal here."""
    if_none_match = request.headers.get("if-none-match")
    if if_none_match is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in tags or etag.removeprefix("W/") in tags
