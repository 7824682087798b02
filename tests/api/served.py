"""The service over real HTTP, by a server in a thread."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from api.main import create_app
from api.state.settings import ApiSettings
from store.settings import Settings


@contextmanager
def served(
    settings: Settings,
    limits: ApiSettings | None = None,
    http: type[asyncio.Protocol] | None = None,
    *,
    port: int = 0,
) -> Iterator[str]:
    """The URL of the service, by a server as people run it; at a free port by default."""
    more: dict[str, Any] = {} if http is None else {"http": http}
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(settings, limits=limits),
            port=port,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
            **more,
        )
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
