"""The service's own log. A line has the time, level, logger and request id."""

from __future__ import annotations

import logging
import sys
from contextvars import ContextVar

from api.documents.base import moment

LONGEST_MESSAGE = 20_000
NO_REQUEST = "-"

request_id: ContextVar[str] = ContextVar("request_id", default=NO_REQUEST)
"""The id of the current request, also in the threads that work on it."""


class Lines(logging.Formatter):
    """Formats a record as `2026-01-31T12:00:00.123Z ERROR api.errors 4f0c… message`.

    Further lines of a message are indented.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line. A very long one lacks its middle."""
        at = moment(record.created).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        # The base class adds the traceback.
        message = super().format(record).rstrip("\n")
        if len(message) > LONGEST_MESSAGE:
            half = LONGEST_MESSAGE // 2
            left_out = f"… {len(message) - 2 * half:,} characters …"
            message = f"{message[:half]}\n{left_out}\n{message[-half:]}"
        message = message.replace("\n", "\n    ")
        return f"{at} {record.levelname} {record.name} {request_id.get()} {message}"


def log_to_stderr() -> None:
    """Make all loggers of this process write `Lines` to its standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    logging.captureWarnings(capture=True)
    # httpx logs a line for each request that it sends.
    logging.getLogger("httpx").setLevel(logging.WARNING)
