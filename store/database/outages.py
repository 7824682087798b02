"""A database that cannot do what it is asked at the moment, and will when it is healed."""

from __future__ import annotations

from sqlalchemy.exc import InterfaceError, OperationalError, TimeoutError

DATABASE_OUTAGE = (OperationalError, InterfaceError, TimeoutError)
"""What is raised while the database cannot be reached, is locked, full or read-only, or while all
of its connections are busy."""

# What SQLite says, PostgreSQL's code, and what it means.
_REASONS = (
    ("is full", "53100", "has no room left on its disk"),
    ("readonly", "25006", "can be read, but not written"),
    ("is locked", "55P03", "is locked by another program"),
    ("disk I/O error", "58030", "met an error of its disk"),
    ("deadlock detected", "40P01", "has requests that wait for each other"),
    ("could not serialize", "40001", "is changed by another request"),
)


def outage_reason(error: Exception) -> str:
    """What keeps the database, as a clause: `has no room left on its disk`."""
    cause = getattr(error, "orig", None)
    for said, code, means in _REASONS:
        if said in str(cause) or getattr(cause, "sqlstate", None) == code:
            return means
    return "cannot be reached"
