"""The service's own log: a line has time, level, who says it and of which request."""

from __future__ import annotations

import logging
import sys
from contextvars import ContextVar

from api.documents.base import moment

LONGEST_MESSAGE = 20_000
NO_REQUEST = "-"

request_id: ContextVar[str] = ContextVar("request_id", default=NO_REQUEST)
"""Of the request that is worked on, also in the threads that do so."""


class Lines(logging.Formatter):
    """`2026-01-31T12:00:00.123Z ERROR api.errors 4f0c… message`, what follows in it indented."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line; the middle of one that is very long is left out."""
        at = moment(record.created).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        # It adds the traceback.
        said = super().format(record).rstrip("\n")
        if len(said) > LONGEST_MESSAGE:
            half = LONGEST_MESSAGE // 2
            said = f"{said[:half]}\n… {len(said) - 2 * half:,} characters …\n{said[-half:]}"
        said = said.replace("\n", "\n    ")
        return f"{at} {record.levelname} {record.name} {request_id.get()} {said}"


def log_to_stderr() -> None:
    """Have all loggers of this process write such lines to its standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    logging.captureWarnings(capture=True)
    # It has a line for each request that the client libraries send.
    logging.getLogger("httpx").setLevel(logging.WARNING)
