"""Whether the process answers, and whether it can serve requests."""

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
    """The answer of a process that runs."""

    status: Literal["ok"] = "ok"


# No route of this file may need one of the shared threads, nor may a dependency of one. Busy
# threads would hold its answer up.


@router.get("/healthz", operation_id="get_health")
async def healthz() -> Health:
    """Answer, to show that the process runs. Nothing else is checked."""
    return Health()


@router.get(
    "/readyz",
    operation_id="get_readiness",
    responses={503: {"model": Readiness, "description": "The database cannot be reached."}},
)
async def readyz(here: Here, response: Response) -> Readiness:
    """Show whether the database and the broker answer, and the object folder takes files.

    An answer may be two seconds old, or half a second while something is wrong.
    """
    found = await here.readiness()
    if found.database != "ok":
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return found


@router.get("/", include_in_schema=False)
async def root() -> RedirectResponse:
    """Redirect people who open the service in a browser to its documentation."""
    return RedirectResponse("/docs")
