"""Answers that come before the client has sent its whole body.

The service may answer early, when a body is too large, a path does not exist, or it is busy. If it
closed the connection while the client still sends, the client's system would discard the answer and
report a reset connection. So the service reads and drops the rest of the body after the answer, up
to a bound, and closes the connection then.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

DROPPED_BYTES = 1 << 30
"""Twice the default largest body of an upload."""
DROPPED_SECONDS = 30.0


class UnreadBodies:
    """Middleware that drops the rest of a body before it ends the answer."""

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
            # A client that asked by "Expect" whether to send its body will not send it now. Reading
            # on would make the server answer "Continue".
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
