"""`python -m api`: the service, with its log on standard error, as one process or several."""

from __future__ import annotations

import argparse
import gc
import os
import socket
import sys
from contextlib import suppress
from functools import partial

import uvicorn
from uvicorn.config import STARTUP_FAILURE

from api.server import processes
from api.server.connections import bounded
from api.server.open_files import most_connections, raise_limit, slack
from api.server.service_log import log_to_stderr

DRAIN_SECONDS = 3
"""How long requests may take to end at a shutdown. An event stream would never end by itself."""
_HOW_MANY = f"how many processes serve (on Linux), by default {processes.PROCESSES} or 1"


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m api", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    # A default that is text is checked as if it had been given.
    several = os.environ.get(processes.PROCESSES) or "1"
    parser.add_argument("--processes", type=int, default=several, help=_HOW_MANY)
    given = parser.parse_args()
    if given.processes < 1 or (given.processes > 1 and not processes.SEVERAL):
        parser.error("--processes is 1 or more, and more than 1 on Linux alone")
    log_to_stderr()
    raise_limit()
    os.environ[processes.PROCESSES] = str(given.processes)
    # Nothing that is imported is garbage, and searching for some takes a fifth of the start. The
    # application's lifespan goes on with the search.
    gc.disable()
    if given.processes == 1:
        _serve(given.host, given.port)
        return
    sys.exit(_serve_by(given.processes, given.host, given.port))


def _serve_by(number: int, host: str, port: int) -> int:
    try:
        reserved = processes.reserve(host, port)
    except OSError as error:
        sys.exit(f"{host} port {port} cannot be bound: {error}")
    processes.make_locks()
    processes.hold_signals()
    # What is imported now is in the memory of all children once. Nothing of it may run before they
    # are forked: torch, for instance, does not work in a child of a process that has used it.
    import api.main  # noqa: F401

    gc.collect()
    gc.freeze()
    # These last until this process ends.
    return processes.keep(number, partial(_serve_shared, host, reserved[0].getsockname()[1]))


def _config(host: str, port: int) -> uvicorn.Config:
    return uvicorn.Config(
        "api.main:app",
        host=host,
        port=port,
        http=bounded(most_connections(), slack()),
        # The number of connections that the system accepts before the service looks at them.
        backlog=128,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        log_config=None,
        # `api.server.edge` has a line for each request.
        access_log=False,
    )


def _serve(host: str, port: int) -> None:
    config = _config(host, port)
    # A fault in the application is reported before anything is served.
    config.load_app()
    _run(uvicorn.Server(config))


def _serve_shared(host: str, port: int) -> None:
    _run(uvicorn.Server(_config(host, port)), processes.sharing(host, port))


def _run(server: uvicorn.Server, sockets: list[socket.socket] | None = None) -> None:
    with suppress(KeyboardInterrupt):
        server.run(sockets=sockets)
    if not server.started:
        sys.exit(STARTUP_FAILURE)


if __name__ == "__main__":
    main()
