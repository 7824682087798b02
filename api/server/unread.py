"""Answers that come before the body was read, to clients that send first and listen then.

A server that answers (too large, no such path, too busy) and closes while the client sends makes
the system throw the answer away: the client sees a connection that was reset. So what is still
coming is read and dropped after the answer, up to a bound, and the connection is closed then.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

DROPPED_BYTES = 1 << 30
"""Twice the largest upload."""
DROPPED_SECONDS = 30.0


class UnreadBodies:
    """Middleware that drops the rest of a body between the answer and the end of it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _has_body(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        more = True
        begun = False

        async def counted() -> Message:
            nonlocal more, begun
            message = await receive()
            begun = True
            more = message["type"] == "http.request" and message.get("more_body", False)
            return message

        async def dropped() -> None:
            left = DROPPED_BYTES
            while more and left > 0:
                left -= len((await counted()).get("body", b""))

        async def then_drop(message: Message) -> None:
            if message["type"] == "http.response.start" and more:
                MutableHeaders(scope=message)["Connection"] = "close"
            ends = message["type"] == "http.response.body" and not message.get("more_body", False)
            # One who asked whether to send will not, and the server must not say "Continue" now.
            asked = not begun and "expect" in Headers(scope=scope)
            if not ends or not more or asked:
                await send(message)
                return
            await send({**message, "more_body": True})
            with suppress(TimeoutError):
                async with asyncio.timeout(DROPPED_SECONDS):
                    await dropped()
            await send({"type": "http.response.body", "body": b"", "more_body": False})

        await self._app(scope, counted, then_drop)


def _has_body(headers: Headers) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
