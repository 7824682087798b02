"""The outermost middleware: a request's id, its line in the log, and its unexpected errors.

A client may give a request an id by `X-Request-Id`. Otherwise the service makes one. The answer has
the id, and so has each line that is logged for the request.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from contextlib import suppress
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.problems import problem
from api.server.service_log import request_id

REQUEST_ID = "X-Request-Id"
LONGEST_TARGET = 200
RETRY_SECONDS = 5
ASKED_ALL_THE_TIME = ("/healthz", "/readyz")
"""Good answers at these paths are not logged."""

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

logger = logging.getLogger(__name__)


class Edge:
    """The outermost middleware. No exception passes it, so that each is logged once."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID, "")
        id = given if _ID.fullmatch(given) else secrets.token_hex(8)
        token = request_id.set(id)
        began = time.perf_counter()
        status: int | None = None

        async def with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID] = id
            await send(message)

        try:
            await self._app(scope, receive, with_id)
        except ClientDisconnect:
            # The client left while its body was read, so nobody reads an answer.
            pass
        except asyncio.CancelledError:
            # The server shuts down, and cancels the requests that are not done in time. It would
            # log a traceback for each, which are a thousand for a thousand streams.
            with suppress(Exception):
                if status is None:
                    await _ending()(scope, receive, with_id)
                else:
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
        except Exception:
            logger.exception("unexpected error at %s", _target(scope))
            if status is None:
                await _unexpected(id)(scope, receive, with_id)
            # If the answer has begun, the server closes its connection.
        finally:
            if status != HTTPStatus.OK or scope["path"] not in ASKED_ALL_THE_TIME:
                took = time.perf_counter() - began
                logger.info("%s %s %s %.3f s", scope["method"], _target(scope), status or "-", took)
            request_id.reset(token)


def _ending() -> ASGIApp:
    return problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The service ends. Try again when it is back.",
        headers={"Retry-After": str(RETRY_SECONDS)},
    )


def _unexpected(id: str) -> ASGIApp:
    return problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        f"The service met an error that it did not expect; its log has the cause at request {id}.",
    )


def _target(scope: Scope) -> str:
    """Path and query as they were sent, in ASCII, cut at `LONGEST_TARGET`."""
    query: bytes = scope["query_string"]
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    target = (raw + b"?" + query if query else raw).decode("ascii", "backslashreplace")
    return target if len(target) <= LONGEST_TARGET else target[:LONGEST_TARGET] + "…"
