"""Whether the service lives, and whether it can work."""

from __future__ import annotations

from http import HTTPStatus
from typing import Literal

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse
from sqlalchemy import select

from api.context import Context, Here
from api.documents import Document
from store.away import DATABASE_AWAY, why_away
from store.errors import StorageTrouble
from store.folders import check_mark

router = APIRouter(tags=["health"])

Answer = Literal["ok", "unreachable"]


class Health(Document):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Readiness(Document):
    """Whether requests can be served."""

    database: Answer
    """Unreachable: not ready (503)."""
    broker: Answer
    """Unreachable: requests are served and kept, and work starts when it is back."""
    storage: str
    """`ok`, or why files cannot be kept; all that needs none is served."""


@router.get("/healthz", operation_id="get_health")
def healthz() -> Health:
    """The process answers; nothing else is asked."""
    return Health()


@router.get("/readyz", operation_id="get_readiness")
def readyz(here: Here, response: Response) -> Readiness:
    """Whether the database and the broker answer, and the object folder takes files."""
    try:
        with here.database.read() as session:
            session.execute(select(1))
        database: Answer = "ok"
    except DATABASE_AWAY:
        database = "unreachable"
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return Readiness(
        database=database,
        broker="ok" if here.hints.reachable() else "unreachable",
        storage=_storage(here),
    )


def _storage(here: Context) -> str:
    try:
        check_mark(here.database, here.objects)
        here.objects.check_writable()
    except StorageTrouble as trouble:
        return str(trouble)
    except DATABASE_AWAY as error:
        return f"The database {why_away(error)}, so that nobody knows whose the folder is."
    return "ok"


@router.get("/", include_in_schema=False)
def root() -> RedirectResponse:
    """People who open the service in a browser find its documentation."""
    return RedirectResponse("/docs")
