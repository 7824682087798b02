"""Artifacts over HTTP: strong ETags, 304, ranges and HEAD."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from api.http.etags import known
from api.http.problems import A_PROBLEM, problem
from api.state.context import Context
from store.database.connection import Database
from store.files.objects import ObjectFolder, open_recorded
from store.queries import Artifact

Endpoint = TypeVar("Endpoint", bound=Callable[..., Response | Awaitable[Response]])

NPZ, ZIP = "application/x-npz", "application/zip"
ARTIFACTS = ("application/json", NPZ, "application/octet-stream", "image/png")
"""The media types of the files that workers leave."""


def file_route(
    router: APIRouter, path: str, name: str, *media_types: str, ranges: bool = False
) -> Callable[[Endpoint], Endpoint]:
    """Answer GET and HEAD at a path, as the operations `get_<name>` and `head_<name>`.

    Args:
        router: the router that gets the routes.
        path: their path.
        name: the last part of the operations' names.
        media_types: the media types of the answers.
        ranges: whether the file may be an artifact. Parts of artifacts can be asked for.
    """
    schema = {"schema": {"type": "string", "format": "binary"}}
    content = dict.fromkeys(media_types, schema)
    parts: dict[int | str, dict[str, Any]] = {
        206: {"description": "The part that Range asked for.", "content": content},
        416: {"description": "The file has no such part.", **A_PROBLEM},
    }
    responses: dict[int | str, dict[str, Any]] = {
        200: {"description": "The file.", "content": content},
        304: {"description": "The client has it already (If-None-Match)."},
        **(parts if ranges else {}),
    }

    def add(endpoint: Endpoint) -> Endpoint:
        for method in ("GET", "HEAD"):
            id = f"{method.lower()}_{name}"
            router.add_api_route(
                path,
                endpoint,
                methods=[method],
                operation_id=id,
                # Otherwise FastAPI would add JSON to the media types.
                response_class=Response,
                responses=responses,
            )
        return endpoint

    return add


class _Content(FileResponse):
    """A file, or a problem document where the file lacks the part that Range asks for."""

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


def serve_file(request: Request, here: Context, found: Artifact, *, immutable: bool) -> Response:
    """Answer with an artifact's content, after a check of its digest. Its ETag is its SHA-256.

    Raises:
        ObjectGone: its file is missing.
        DamagedObject: its file has changed.
        StorageAway: the object folder is away.
    """
    etag = f'"{found.sha256}"'
    age = "public, max-age=31536000, immutable" if immutable else "no-cache"
    headers = {"ETag": etag, "Cache-Control": age, "X-Content-Type-Options": "nosniff"}
    if known(request, etag):
        return Response(status_code=304, headers=headers)
    # The check comes before the first header is sent, so that a fault can be answered.
    path = here.objects.path(found.sha256)
    _check(here.database, here.objects, found.sha256, _version(path))
    return _Content(
        path,
        media_type=found.media_type,
        filename=found.name,
        content_disposition_type="inline" if found.media_type == "image/png" else "attachment",
        headers=headers,
    )


def _version(path: Path) -> tuple[int, ...]:
    """The inode, time of change and size of a file. They change when the file is written."""
    try:
        stat = path.stat()
    except OSError:
        # The error comes when the file is opened.
        return ()
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


@lru_cache(maxsize=10_000)
def _check(
    database: Database,
    objects: ObjectFolder,
    sha256: str,
    _version: tuple[int, ...],
) -> None:
    """Check the digest of a version of a file. A version that was good is not read again."""
    open_recorded(database, objects, sha256).close()
