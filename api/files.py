"""Artifacts over HTTP: strong ETags, 304, ranges and HEAD."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from api.problems import problem
from store.objects import ObjectFolder
from store.queries import Artifact

Endpoint = TypeVar("Endpoint", bound=Callable[..., Response])

_FILE: dict[str, Any] = {
    "response_class": FileResponse,
    "responses": {
        200: {"description": "The file.", "content": {"application/octet-stream": {}}},
        206: {"description": "The part that Range asked for."},
        304: {"description": "The client has it already (If-None-Match)."},
        416: {"description": "The file has no such part."},
    },
}


def file_route(router: APIRouter, path: str, name: str) -> Callable[[Endpoint], Endpoint]:
    """Answer GET and HEAD at a path, as the operations `get_<name>` and `head_<name>`."""

    def add(endpoint: Endpoint) -> Endpoint:
        for method in ("GET", "HEAD"):
            id = f"{method.lower()}_{name}"
            router.add_api_route(path, endpoint, methods=[method], operation_id=id, **_FILE)
        return endpoint

    return add


class _Content(FileResponse):
    """A file, or the problem with the part of it that Range asks for."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused: list[Response] = []

        async def unless_refused(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 400:
                refused.append(_refusal(message["status"], scope, message))
            if not refused:
                await send(message)

        await super().__call__(scope, receive, unless_refused)
        if refused:
            await refused[0](scope, receive, send)


def _refusal(status: int, scope: Scope, message: Message) -> Response:
    asked = Headers(scope=scope).get("range")
    extent = Headers(raw=message["headers"]).get("content-range")
    size = f", which has {extent.removeprefix('bytes */')} bytes" if extent else ""
    return problem(
        status,
        f"The Range {asked!r} cannot be taken of this file{size}.",
        headers={"Content-Range": extent} if extent else None,
    )


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
    return _Content(
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
