"""Lines of logs."""

from __future__ import annotations

from datetime import datetime

from api.documents.base import Document, moment
from store.jobs.log import KeptLine


class LogLine(Document):
    """One message of a worker's log."""

    at: datetime
    """The time by the worker's clock."""
    level: str
    """One of INFO, WARNING, ERROR and CRITICAL."""
    worker: str
    message: str
    cursor: str
    """Pass it as `?cursor=` to get the lines after this one. The last line's works too."""


def log_document(line: KeptLine) -> LogLine:
    """The document of a line."""
    return LogLine(
        at=moment(line.at),
        level=line.level,
        worker=line.worker,
        message=line.message,
        cursor=str(line.number),
    )
