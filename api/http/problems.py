"""Problem documents (RFC 9457). Every error that the service answers has this form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse
from pydantic import BaseModel

MEDIA_TYPE = "application/problem+json"


class BadRequest(Exception):
    """A request that cannot be read. `status` is 400, 413 or 415."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


class FieldProblem(BaseModel):
    """One fault of a request."""

    path: str
    """The dotted path, as the client wrote it: `objective.beta`, `sweep.objective.beta[2]`."""
    got: Any
    """What the request has there. It is null where it has nothing."""
    expected: str
    """What is allowed there."""
    nearest: str | None = None
    """The name that the client probably meant."""


class Problem(BaseModel):
    """What is wrong, and what to change."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] = []


A_PROBLEM: dict[str, Any] = {
    "content": {
        MEDIA_TYPE: {
            "schema": Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        }
    }
}
"""The OpenAPI content of an answer that is a problem document."""


def problem(
    status: int,
    detail: str,
    errors: Sequence[FieldProblem] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """A response with a problem document."""
    document = Problem(
        title=HTTPStatus(status).phrase, status=status, detail=detail, errors=list(errors)
    )
    return JSONResponse(
        document.model_dump(mode="json"),
        status_code=status,
        headers=dict(headers or {}),
        media_type=MEDIA_TYPE,
    )
