"""The URL of a database, which must be unambiguous."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from store.errors import BadDatabaseUrl

_KINDS = ("sqlite", "postgresql")


def sqlite_url(path: Path) -> str:
    """The URL of a SQLite file, whose path may hold anything: `?`, `#` and `%41` are escaped."""
    url = URL.create("sqlite", database=str(path))
    return url.render_as_string(hide_password=False)


def parsed_url(text: str) -> URL:
    """The URL of a SQLite file or a PostgreSQL database, taken apart.

    Raises:
        BadDatabaseUrl: if it is neither, or leaves open which file or database is meant.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        # The text may hold a password, so the error does not show it.
        raise BadDatabaseUrl("one that cannot be read as a URL") from error
    if url.get_backend_name() not in _KINDS:
        raise BadDatabaseUrl(f"one of the kind {url.drivername!r}")
    if url.get_backend_name() == "postgresql":
        return url
    if not url.database or url.database == ":memory:":
        raise BadDatabaseUrl(
            f"{text!r}, which names no file; several processes cannot share a database in memory"
        )
    # SQLAlchemy takes what follows a question mark as options, and would open another file.
    if "?" in text:
        raise BadDatabaseUrl(
            f"{text!r}, where a question mark would end the file's name; write %3F for one in it"
        )
    return url
