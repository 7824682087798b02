"""The one place where facts become status codes."""

from __future__ import annotations

import logging
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from api.keys import IDEMPOTENCY_KEY
from api.problems import FieldProblem, problem
from ml.registry import UnknownComponent
from ml.spec_errors import InvalidSpec, dotted, shown, value_fault
from store.errors import BadCursor, KeyOfAnother, NotFound, NotTrained, Pinned, WrongState

logger = logging.getLogger(__name__)

RETRY_SECONDS = 2
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


class BadRequest(Exception):
    """A request that cannot even be read; `status` is 400, 413 or 415."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


def install(app: FastAPI) -> None:
    """Answer every error with a problem document."""
    handlers = {
        BadRequest: _bad_request,
        InvalidSpec: _invalid_spec,
        RequestValidationError: _invalid_parameters,
        NotFound: _not_found,
        UnknownComponent: _unknown_component,
        WrongState: _wrong_state,
        NotTrained: _wrong_state,
        Pinned: _wrong_state,
        BadCursor: _bad_cursor,
        KeyOfAnother: _key_of_another,
        HTTPException: _http,
        DBAPIError: _database,
        Exception: _unexpected,
    }
    for error, handler in handlers.items():
        app.add_exception_handler(error, handler)  # type: ignore[arg-type]


def _bad_request(_: Request, error: BadRequest) -> Response:
    return problem(error.status, error.detail)


def _invalid_spec(_: Request, error: InvalidSpec) -> Response:
    errors = [
        FieldProblem(path=f.path, got=shown(f.got), expected=f.expected, nearest=f.nearest)
        for f in error.faults
    ]
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), errors)


def _invalid_parameters(request: Request, error: RequestValidationError) -> Response:
    # A location begins with "query", "path" or "header".
    faults = [value_fault(dotted(detail["loc"][1:]), detail) for detail in error.errors()]
    return _invalid_spec(request, InvalidSpec(faults))


def _not_found(_: Request, error: NotFound) -> Response:
    return problem(HTTPStatus.NOT_FOUND, str(error))


def _unknown_component(_: Request, error: UnknownComponent) -> Response:
    expected = "one of " + ", ".join(error.known)
    fault = FieldProblem(
        path=error.kind, got=shown(error.name), expected=expected, nearest=error.nearest
    )
    return problem(HTTPStatus.NOT_FOUND, str(error), [fault])


def _wrong_state(_: Request, error: WrongState | NotTrained | Pinned) -> Response:
    return problem(HTTPStatus.CONFLICT, str(error))


def _bad_cursor(_: Request, error: BadCursor) -> Response:
    expected = "next_cursor of the page before"
    fault = FieldProblem(path="cursor", got=shown(error.cursor), expected=expected)
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), [fault])


def _key_of_another(_: Request, error: KeyOfAnother) -> Response:
    fault = FieldProblem(
        path=IDEMPOTENCY_KEY, got=shown(error.key), expected="a key that no other request has"
    )
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), [fault])


def _http(request: Request, error: HTTPException) -> Response:
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
    """What a path takes; starlette names only what its first route does."""
    return [
        method
        for method in METHODS
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in request.app.routes
        )
    ]


def _database(request: Request, error: DBAPIError) -> Response:
    if not isinstance(error, OperationalError | InterfaceError):
        return _unexpected(request, error)
    logger.error("the database cannot be reached", exc_info=error)
    return problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The database cannot be reached at the moment. Try again.",
        headers={"Retry-After": str(RETRY_SECONDS)},
    )


def _unexpected(request: Request, error: Exception) -> Response:
    logger.error("unexpected error at %s", request.url.path, exc_info=error)
    return problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "The service met an error that it did not expect; its log has the cause.",
    )
