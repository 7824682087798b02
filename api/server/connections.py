"""The server's connections: a limit on their number, and a timeout for silent ones."""

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
"""A connection that is idle for less is not closed for another: its client may be about to ask."""
LOG_AGAIN_SECONDS = 60.0
NO_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

logger = logging.getLogger(__name__)


def bounded(most: int, slack: int) -> type[H11Protocol]:
    """The protocol of a server that has about `most` connections.

    A new connection beyond these closes the one that has been idle for longest. If none is idle, up
    to `slack` more are accepted. Each one beyond that gets a 503 and is closed. A connection whose
    client sends no request is closed after a while.
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
            # Abort does not wait for unsent bytes. The connection's file is needed now.
            min(idle, key=lambda other: other.idle_since).transport.abort()
            return True

    return Connection


class OutOfFiles:
    """An exception handler that logs refused connections once a minute.

    Everything else goes to the event loop's default handler.
    """

    def __init__(self) -> None:
        self._again = 0.0

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Handle an exception of the event loop."""
        error = context.get("exception")
        if not isinstance(error, OSError) or error.errno not in NO_FILES:
            loop.default_exception_handler(context)
            return
        if time.monotonic() >= self._again:
            self._again = time.monotonic() + LOG_AGAIN_SECONDS
            logger.error("no connections can be taken: %s (ulimit -n)", error)
