"""Connections of the server: no more than there are files for, and none that says nothing."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import time
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from api.http.problems import MEDIA_TYPE

FIRST_REQUEST_SECONDS = 20.0
IDLE_SECONDS = 3.0
"""Who has just connected is about to ask."""
SAID_AGAIN_SECONDS = 60.0
NO_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

logger = logging.getLogger(__name__)


def bounded(most: int, slack: int) -> type[H11Protocol]:
    """The protocol of a server that has about so many connections at most.

    For one more, that of them is closed which has been idle for longest; if all are being answered,
    so many more are taken as `slack` says, and then the new one is told to come back. Who has
    connected and asks for nothing is let go.
    """
    detail = f"The service has {most} connections open, and all of them are in use. Try again."
    document = {"type": "about:blank", "title": "Service Unavailable", "status": 503}
    body = json.dumps({**document, "detail": detail, "errors": []}).encode()
    refusal = (
        b"HTTP/1.1 503 Service Unavailable\r\n"
        b"Content-Type: %b\r\nContent-Length: %d\r\nRetry-After: 2\r\nConnection: close\r\n\r\n%b"
    ) % (MEDIA_TYPE.encode(), len(body), body)

    class Connection(H11Protocol):
        idle_since = 0.0

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            others = len(self.connections)
            super().connection_made(transport)
            self.idle_since = time.monotonic()
            self.timeout_keep_alive_task = self.loop.call_later(
                FIRST_REQUEST_SECONDS, self.timeout_keep_alive_handler
            )
            if others >= most and not self._one_less() and others >= most + slack:
                transport.write(refusal)
                transport.close()

        def on_response_complete(self) -> None:
            self.idle_since = time.monotonic()
            super().on_response_complete()

        def _one_less(self) -> bool:
            before = time.monotonic() - IDLE_SECONDS
            idle = [
                other
                for other in self.connections
                if isinstance(other, Connection)
                and other.idle_since < before
                and (other.cycle is None or other.cycle.response_complete)
                and not other.transport.is_closing()
            ]
            if not idle:
                return False
            # Without waiting for what was not taken yet: its file is needed now.
            min(idle, key=lambda other: other.idle_since).transport.abort()
            return True

    return Connection


class OutOfFiles:
    """Tells of connections that cannot be taken once a minute, and of all else as ever."""

    def __init__(self) -> None:
        self._again = 0.0

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """An event loop's exception handler."""
        error = context.get("exception")
        if not isinstance(error, OSError) or error.errno not in NO_FILES:
            loop.default_exception_handler(context)
            return
        if time.monotonic() >= self._again:
            self._again = time.monotonic() + SAID_AGAIN_SECONDS
            logger.error("no connections can be taken: %s (ulimit -n)", error)
