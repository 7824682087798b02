"""The page that documents the API. This service serves all of its files."""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path
from typing import NamedTuple

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from api.http.etags import MAY_CHANGE, etag_of, known
from api.http.negotiation import takes_gzip

router = APIRouter(include_in_schema=False)

FOLDER = Path(__file__).parents[1] / "docs_page"
FROM_HERE_ALONE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""`img-src data:` is for the icons of Swagger UI, which are data URLs in its own files."""


class _Part(NamedTuple):
    file: str
    media_type: str


PAGE = _Part("index.html", "text/html; charset=utf-8")
PARTS = {
    "start.js": _Part("start.js", "text/javascript; charset=utf-8"),
    "swagger-ui-bundle.js": _Part(
        "vendored/swagger-ui-bundle.js.gz", "text/javascript; charset=utf-8"
    ),
    "swagger-ui.css": _Part("vendored/swagger-ui.css.gz", "text/css; charset=utf-8"),
}


@router.get("/docs")
async def docs(request: Request) -> Response:
    """The page's HTML."""
    return _answer(request, PAGE)


@router.get("/docs/start.js")
async def start(request: Request) -> Response:
    """The script that starts Swagger UI."""
    return _answer(request, PARTS["start.js"])


@router.get("/docs/swagger-ui-bundle.js")
async def script(request: Request) -> Response:
    """The script of Swagger UI."""
    return _answer(request, PARTS["swagger-ui-bundle.js"])


@router.get("/docs/swagger-ui.css")
async def style(request: Request) -> Response:
    """The style sheet of Swagger UI."""
    return _answer(request, PARTS["swagger-ui.css"])


@router.get("/openapi.json")
def document(request: Request) -> Response:
    """The OpenAPI document.

    The route runs in a thread, since the first call takes half a second.
    """
    return JSONResponse(request.app.openapi())


def _answer(request: Request, part: _Part) -> Response:
    content, etag = _content(part.file)
    headers = {
        "ETag": etag,
        **MAY_CHANGE,
        "Content-Security-Policy": FROM_HERE_ALONE,
    }
    if part.file.endswith(".gz"):
        headers["Vary"] = "Accept-Encoding"
        if takes_gzip(request):
            headers["Content-Encoding"] = "gzip"
        else:
            content = gzip.decompress(content)
    if known(request, etag):
        headers.pop("Content-Encoding", None)
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=part.media_type, headers=headers)


@cache
def _content(file: str) -> tuple[bytes, str]:
    content = (FOLDER / file).read_bytes()
    return content, f"W/{etag_of(content)}"
