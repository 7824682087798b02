"""Whether the service lives, and whether it can work."""

from __future__ import annotations

from http import HTTPStatus
from typing import Literal

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from api.documents.base import Document
from api.state.context import Here
from api.state.readiness import Readiness

router = APIRouter(tags=["health"])


class Health(Document):
    """The process answers."""

    status: Literal["ok"] = "ok"


# No route of this file may need one of the threads that all share, nor may what it depends on.


@router.get("/healthz", operation_id="get_health")
async def healthz() -> Health:
    """The process answers; nothing else is asked."""
    return Health()


@router.get(
    "/readyz",
    operation_id="get_readiness",
    responses={503: {"model": Readiness, "description": "The database cannot be reached."}},
)
async def readyz(here: Here, response: Response) -> Readiness:
    """Whether the database and the broker answer, and the object folder takes files.

    It is looked at no more than once in two seconds, or in half a second while something is wrong.
    """
    found = await here.readiness()
    if found.database != "ok":
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return found


@router.get("/", include_in_schema=False)
async def root() -> RedirectResponse:
    """People who open the service in a browser find its documentation."""
    return RedirectResponse("/docs")
