"""`python -m api`: the service as a process of its own, with its log on standard error."""

from __future__ import annotations

import argparse
import gc

import uvicorn

from api.server.connections import bounded
from api.server.open_files import most_connections, raise_limit, slack
from api.server.service_log import log_to_stderr

DRAIN_SECONDS = 3
"""How long requests may take to end at a shutdown. An event stream would never end by itself."""


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m api", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    given = parser.parse_args()
    log_to_stderr()
    raise_limit()
    # Nothing that is imported is garbage, and searching for some takes a fifth of the start. The
    # application's lifespan goes on with the search.
    gc.disable()
    uvicorn.run(
        "api.main:app",
        host=given.host,
        port=given.port,
        http=bounded(most_connections(), slack()),
        # The number of connections that the system accepts before the service looks at them.
        backlog=128,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        log_config=None,
        # `api.server.edge` has a line for each request.
        access_log=False,
    )


if __name__ == "__main__":
    main()
