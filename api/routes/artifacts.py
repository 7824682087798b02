"""Artifacts by the SHA-256 of their content."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from api.answers.files import ARTIFACTS, file_route, serve_file
from api.state.context import Here
from store import queries

router = APIRouter(prefix="/v1/artifacts", tags=["artifacts"])

Sha256 = Annotated[
    str, Path(pattern="^[0-9a-f]{64}$", description="The SHA-256 in lower-case hexadecimal.")
]


@file_route(router, "/{sha256}", "artifact", *ARTIFACTS, ranges=True)
def content(sha256: Sha256, here: Here, request: Request) -> Response:
    """A file by its SHA-256. Its content never changes."""
    found = queries.artifact_by_sha(here.database, sha256)
    return serve_file(request, here, found, immutable=True)
