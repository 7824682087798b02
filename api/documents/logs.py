"""A line of a log."""

from __future__ import annotations

from datetime import datetime

from api.documents.base import Document, moment
from store.jobs.log import KeptLine


class LogLine(Document):
    """What a worker logged at one moment."""

    at: datetime
    """By its worker's clock."""
    level: str
    """INFO, WARNING, ERROR or CRITICAL."""
    worker: str
    message: str
    cursor: str
    """Pass as `?cursor=` for what was logged after this line, also when it was the last."""


def log_document(line: KeptLine) -> LogLine:
    """A line as it is shown in JSON."""
    return LogLine(
        at=moment(line.at),
        level=line.level,
        worker=line.worker,
        message=line.message,
        cursor=str(line.number),
    )
