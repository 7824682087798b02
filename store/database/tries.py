"""Writing what others may write at the same moment, and trying again if they were faster."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from store.database.connection import Database
from store.errors import Contended

T = TypeVar("T")

TRIES = 10
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.02, 0.5
# deadlock_detected and serialization_failure of PostgreSQL.
_CONFLICTS = ("40P01", "40001")
# Any fixed number will do. It must only differ from other programs' numbers in the same database.
_IN_LINE = 0x48_45_44_44_4C_46


class Outrun(Exception):
    """Another transaction has changed what was looked up before it was locked."""


def until_written(database: Database, what: str, write: Callable[[Session], T]) -> T:
    """Call `write` in a transaction of its own, and again in a new one while others are faster.

    On PostgreSQL, all who were outrun once take turns from then on. `what` names the thing for the
    error.

    Returns:
        What `write` returns.

    Raises:
        Contended: if others were faster at every try.
    """

    def in_line(session: Session) -> T:
        if session.get_bind().dialect.name == "postgresql":
            session.execute(select(func.pg_advisory_xact_lock(_IN_LINE)))
        return write(session)

    for number in range(TRIES):
        if number:
            longest = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2**number)
            time.sleep(random.uniform(0, longest))  # noqa: S311 (nobody is to guess nothing)
        try:
            return database.write_together(in_line if number else write)
        except (IntegrityError, Outrun):
            # The next try finds what the other transaction wrote.
            continue
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) not in _CONFLICTS:
                raise
    raise Contended(what)
