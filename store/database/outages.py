"""Outages: a database that cannot do its work at the moment, and will when the cause is gone."""

from __future__ import annotations

from sqlalchemy.exc import InterfaceError, OperationalError, TimeoutError

DATABASE_OUTAGE = (OperationalError, InterfaceError, TimeoutError)
"""The errors that are raised while the database cannot be reached, is locked, full or read-only, or
while all of its connections are busy."""

# A part of SQLite's message, PostgreSQL's code, and what both mean.
_REASONS = (
    ("is full", "53100", "has no room left on its disk"),
    ("readonly", "25006", "can be read, but not written"),
    ("is locked", "55P03", "is locked by another program"),
    ("disk I/O error", "58030", "met an error of its disk"),
    ("deadlock detected", "40P01", "has requests that wait for each other"),
    ("could not serialize", "40001", "is changed by another request"),
)


def outage_reason(error: Exception) -> str:
    """Why the database does not work, as a clause: `has no room left on its disk`."""
    cause = getattr(error, "orig", None)
    for said, code, means in _REASONS:
        if said in str(cause) or getattr(cause, "sqlstate", None) == code:
            return means
    return "cannot be reached"
