"""The one place where errors become status codes."""

from __future__ import annotations

import errno
import logging
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from api.answers.datasets import NoFactors
from api.http.negotiation import NotAcceptable
from api.http.problems import BadRequest, FieldProblem, problem
from api.pictures.plot_params import PlotOfAnother
from api.state.held_open import TooManyHeld
from api.state.lanes import TooBusy
from api.submission.datasets import BuiltIn
from api.submission.headers import IDEMPOTENCY_KEY
from ml.components.registry import UnknownComponent
from ml.components.spec_errors import InvalidSpec, dotted, shown, value_fault
from ml.datasets.choices import UnfitChoice
from ml.datasets.protocol import MissingFile, UnusableFile
from ml.plots.protocol import NothingToDraw
from store.database.outages import DATABASE_OUTAGE, outage_reason
from store.errors import (
    BadCursor,
    Contended,
    DamagedObject,
    DatasetChanged,
    DatasetInUse,
    KeyOfAnother,
    NameTaken,
    NotFound,
    NotTrained,
    NotWritable,
    ObjectGone,
    OriginNotKept,
    Pinned,
    StateNotKept,
    StorageTrouble,
    TooManyQueued,
    TooManyUploads,
    UploadBusy,
    UploadDamaged,
    WrongOffset,
    WrongState,
)

logger = logging.getLogger(__name__)

RETRY_SECONDS = 2
HEALING_SECONDS = 30
"""Retry-After for files, queues and connections. They take longer to recover than a database."""

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
BROKEN = (errno.EACCES, errno.EIO, errno.EPERM, errno.EROFS, errno.ESTALE)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


def install(app: FastAPI) -> None:
    """Answer every expected error with a problem document. `api.server.edge` answers the others."""
    handlers = {
        BadRequest: _bad_request,
        InvalidSpec: _invalid_spec,
        RequestValidationError: _invalid_parameters,
        NotFound: _not_found,
        ObjectGone: _object_gone,
        DamagedObject: _damaged,
        StorageTrouble: _storage,
        MissingFile: _data_away,
        UnusableFile: _data_away,
        UnfitChoice: _data_away,
        OSError: _system,
        UnknownComponent: _unknown_component,
        PlotOfAnother: _not_found,
        WrongState: _conflict,
        DatasetInUse: _conflict,
        DatasetChanged: _conflict,
        NoFactors: _conflict,
        UploadBusy: _conflict,
        UploadDamaged: _conflict,
        WrongOffset: _wrong_offset,
        NameTaken: _name_taken,
        BuiltIn: _name_taken,
        TooManyUploads: _too_many,
        NotTrained: _conflict,
        Pinned: _conflict,
        StateNotKept: _conflict,
        OriginNotKept: _conflict,
        BadCursor: _bad_cursor,
        KeyOfAnother: _key_of_another,
        TooManyQueued: _too_many,
        TooBusy: _in_a_moment,
        TooManyHeld: _too_many_held,
        Contended: _in_a_moment,
        NotAcceptable: _not_acceptable,
        NothingToDraw: _conflict,
        HTTPException: _http,
        **dict.fromkeys(DATABASE_OUTAGE, _database),
    }
    # All handlers are coroutines, since a refusal must not wait for a thread.
    for error, handler in handlers.items():
        app.add_exception_handler(error, handler)  # type: ignore[arg-type]


async def _bad_request(_: Request, error: BadRequest) -> Response:
    return problem(error.status, error.detail)


async def _invalid_spec(_: Request, error: InvalidSpec) -> Response:
    errors = [
        FieldProblem(path=f.path, got=shown(f.got), expected=f.expected, nearest=f.nearest)
        for f in error.faults
    ]
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), errors)


async def _invalid_parameters(request: Request, error: RequestValidationError) -> Response:
    # A location begins with "query", "path" or "header".
    faults = [value_fault(dotted(detail["loc"][1:]), detail) for detail in error.errors()]
    return await _invalid_spec(request, InvalidSpec(faults))


async def _not_found(_: Request, error: NotFound | PlotOfAnother) -> Response:
    return problem(HTTPStatus.NOT_FOUND, str(error))


async def _unknown_component(_: Request, error: UnknownComponent) -> Response:
    expected = "one of " + ", ".join(error.known)
    fault = FieldProblem(
        path=error.kind, got=shown(error.name), expected=expected, nearest=error.nearest
    )
    return problem(HTTPStatus.NOT_FOUND, str(error), [fault])


async def _conflict(_: Request, error: Exception) -> Response:
    return problem(HTTPStatus.CONFLICT, str(error))


async def _name_taken(_: Request, error: NameTaken | BuiltIn) -> Response:
    fault = FieldProblem(path="name", got=shown(error.name), expected="a name that no data set has")
    return problem(HTTPStatus.CONFLICT, str(error), [fault])


async def _wrong_offset(_: Request, error: WrongOffset) -> Response:
    headers = {"Upload-Offset": str(error.offset)}
    return problem(HTTPStatus.CONFLICT, str(error), headers=headers)


async def _bad_cursor(_: Request, error: BadCursor) -> Response:
    expected = "next_cursor of the page before"
    fault = FieldProblem(path="cursor", got=shown(error.cursor), expected=expected)
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), [fault])


async def _key_of_another(_: Request, error: KeyOfAnother) -> Response:
    fault = FieldProblem(
        path=IDEMPOTENCY_KEY, got=shown(error.key), expected="a key that no other request has"
    )
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), [fault])


async def _too_many(_: Request, error: TooManyQueued | TooManyUploads) -> Response:
    return problem(HTTPStatus.TOO_MANY_REQUESTS, str(error), headers=_retry(HEALING_SECONDS))


async def _in_a_moment(_: Request, error: TooBusy | Contended) -> Response:
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error), headers=_retry(RETRY_SECONDS))


async def _too_many_held(_: Request, error: TooManyHeld) -> Response:
    # A thousand refused clients that kept their connections alive would hold a thousand open files.
    headers = {**_retry(HEALING_SECONDS), "Connection": "close"}
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error), headers=headers)


async def _not_acceptable(_: Request, error: NotAcceptable) -> Response:
    return problem(HTTPStatus.NOT_ACCEPTABLE, str(error))


async def _data_away(_: Request, error: MissingFile | UnusableFile | UnfitChoice) -> Response:
    logger.error("%s", error)
    return _try_later(False, f"The data set cannot be read at the moment: {error}.")


async def _http(request: Request, error: HTTPException) -> Response:
    path = shown(request.url.path)
    if error.status_code == HTTPStatus.NOT_FOUND:
        return problem(
            HTTPStatus.NOT_FOUND, f"There is nothing at {path}; /docs lists what there is."
        )
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = ", ".join(_methods(request))
        return problem(
            HTTPStatus.METHOD_NOT_ALLOWED,
            f"{path} does not take {request.method}; it takes {allowed}.",
            headers={"Allow": allowed},
        )
    return problem(error.status_code, str(error.detail), headers=error.headers)


def _methods(request: Request) -> list[str]:
    """The methods that a path takes. Starlette names only those of its first route."""
    return [
        method
        for method in METHODS
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in request.app.routes
        )
    ]


async def _database(request: Request, error: Exception) -> Response:
    why = outage_reason(error)
    # No traceback, since every request logs this line while the database is away.
    logger.error("the database %s: %s", why, getattr(error, "orig", error))
    reads = request.method in ("GET", "HEAD")
    # The database may have committed a write before the connection broke.
    advice = (
        "Try again." if reads else "What was asked for may be done or not: look, then try again."
    )
    return problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        f"The database {why} at the moment. {advice}",
        headers=_retry(RETRY_SECONDS),
    )


async def _object_gone(_: Request, error: ObjectGone) -> Response:
    logger.error("%s", error)
    return problem(HTTPStatus.NOT_FOUND, f"{error} To have it again: {error.advice}.")


async def _damaged(_: Request, error: DamagedObject) -> Response:
    logger.error("%s", error)
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, f"{error} To have it again: {error.advice}.")


async def _storage(_: Request, error: StorageTrouble) -> Response:
    logger.error("%s", error)
    full = isinstance(error, NotWritable) and error.errno in NO_ROOM
    return _try_later(full, f"{error} Nothing was changed.")


async def _system(_: Request, error: OSError) -> Response:
    # An upload goes through the folder of temporary files, which may be full too.
    if error.errno not in NO_ROOM + BROKEN:
        # `api.server.edge` answers unexpected errors.
        raise error
    logger.error("the system refused a file: %s", error)
    return _try_later(
        error.errno in NO_ROOM, f"The service's machine refuses: {error}. Nothing was changed."
    )


def _try_later(full: bool, detail: str) -> Response:
    status = HTTPStatus.INSUFFICIENT_STORAGE if full else HTTPStatus.SERVICE_UNAVAILABLE
    return problem(status, detail, headers=_retry(HEALING_SECONDS))


def _retry(seconds: int) -> dict[str, str]:
    return {"Retry-After": str(seconds)}
