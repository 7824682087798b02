"""Artifacts over HTTP: strong ETags, 304, ranges and HEAD."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response
from fastapi.responses import FileResponse

from store.objects import ObjectFolder
from store.queries import Artifact

FILE: dict[str, Any] = {
    "response_class": FileResponse,
    "responses": {
        200: {"description": "The file.", "content": {"application/octet-stream": {}}},
        206: {"description": "The part that Range asked for."},
        304: {"description": "The client has it already (If-None-Match)."},
    },
}
"""What the OpenAPI document says of a route that answers with a file."""


def serve_file(
    request: Request, objects: ObjectFolder, found: Artifact, *, immutable: bool
) -> Response:
    """Answer with an artifact's content; its ETag is its SHA-256.

    Raises:
        NotFound: its file is gone.
    """
    etag = f'"{found.sha256}"'
    age = "public, max-age=31536000, immutable" if immutable else "no-cache"
    headers = {"ETag": etag, "Cache-Control": age, "X-Content-Type-Options": "nosniff"}
    if _matches(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    with objects.open(found.sha256):
        pass  # Says that it is gone before a header is sent.
    return FileResponse(
        objects.path(found.sha256),
        media_type=found.media_type,
        filename=found.name,
        content_disposition_type="inline" if found.media_type == "image/png" else "attachment",
        headers=headers,
    )


def _matches(if_none_match: str | None, etag: str) -> bool:
    if if_none_match is None:
        return False
    known = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in known or etag in known
