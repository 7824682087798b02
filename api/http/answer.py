"""A document as an answer, written as JSON once."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from fastapi import Response
from pydantic import BaseModel


def json_answer(
    document: BaseModel,
    status: HTTPStatus = HTTPStatus.OK,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The answer with this document.

    A route that returned the document itself would give the same bytes. But FastAPI would check the
    document once more, in another thread, and write it while all other requests wait.
    """
    return Response(document.model_dump_json(), status, headers, "application/json")
