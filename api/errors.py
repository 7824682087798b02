"""The one place where facts become status codes."""

from __future__ import annotations

import logging
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from starlette.exceptions import HTTPException

from api.problems import FieldProblem, problem
from ml.dataset import MissingFile, UnusableFile
from ml.registry import UnknownComponent
from ml.spec_errors import InvalidSpec, dotted, shown
from store.errors import BadCursor, NotFound, WrongState

logger = logging.getLogger(__name__)

RETRY_SECONDS = 2


class BadRequest(Exception):
    """A request that cannot even be read; `status` is 400, 413 or 415."""

    def __init__(self, status: int, detail: str, errors: tuple[FieldProblem, ...] = ()) -> None:
        super().__init__(detail)
        self.status, self.detail, self.errors = status, detail, errors


def install(app: FastAPI) -> None:
    """Answer every error with a problem document."""
    handlers = {
        BadRequest: _bad_request,
        InvalidSpec: _invalid_spec,
        RequestValidationError: _invalid_parameters,
        NotFound: _not_found,
        UnknownComponent: _unknown_component,
        WrongState: _wrong_state,
        BadCursor: _bad_cursor,
        MissingFile: _file_problem,
        UnusableFile: _file_problem,
        HTTPException: _http,
        DBAPIError: _database,
        Exception: _unexpected,
    }
    for error, handler in handlers.items():
        app.add_exception_handler(error, handler)  # type: ignore[arg-type]


def _bad_request(_: Request, error: BadRequest) -> Response:
    return problem(error.status, error.detail, error.errors)


def _invalid_spec(_: Request, error: InvalidSpec) -> Response:
    errors = [
        FieldProblem(path=f.path, got=shown(f.got), expected=f.expected, nearest=f.nearest)
        for f in error.faults
    ]
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), errors)


def _invalid_parameters(_: Request, error: RequestValidationError) -> Response:
    errors = [
        FieldProblem(
            path=dotted(fault["loc"][1:]),
            got=shown(fault.get("input")),
            expected=str(fault["msg"]).removeprefix("Input should be "),
        )
        for fault in error.errors()
    ]
    detail = "; ".join(f"{e.path}: expected {e.expected}, got {e.got!r}" for e in errors)
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors)


def _not_found(_: Request, error: NotFound) -> Response:
    return problem(HTTPStatus.NOT_FOUND, str(error))


def _unknown_component(_: Request, error: UnknownComponent) -> Response:
    expected = "one of " + ", ".join(error.known)
    fault = FieldProblem(path=error.kind, got=error.name, expected=expected, nearest=error.nearest)
    return problem(HTTPStatus.NOT_FOUND, str(error), [fault])


def _wrong_state(_: Request, error: WrongState) -> Response:
    return problem(HTTPStatus.CONFLICT, str(error))


def _bad_cursor(_: Request, error: BadCursor) -> Response:
    fault = FieldProblem(path="cursor", got=error.cursor, expected="next_cursor of a former page")
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), [fault])


def _file_problem(_: Request, error: MissingFile | UnusableFile) -> Response:
    fault = FieldProblem(path="dataset.path", got=error.file.name, expected=str(error))
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), [fault])


def _http(_: Request, error: HTTPException) -> Response:
    return problem(error.status_code, str(error.detail), headers=error.headers)


def _database(_: Request, error: DBAPIError) -> Response:
    logger.exception("the database refused a statement")
    if isinstance(error, OperationalError | InterfaceError):
        return problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "The database cannot be reached at the moment; nothing was changed. Try again.",
            headers={"Retry-After": str(RETRY_SECONDS)},
        )
    return _unexpected(_, error)


def _unexpected(request: Request, error: Exception) -> Response:
    logger.error("unexpected error at %s", request.url.path, exc_info=error)
    return problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "The service met an error that it did not expect; its log has the cause.",
    )
