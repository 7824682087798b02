"""Writing what others may write at the same moment: again, when they were faster."""

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
# Any fixed number does; it only has to differ from other programs' in the same database.
_IN_LINE = 0x48_45_44_44_4C_46


class Outrun(Exception):
    """Another has changed what was looked up before it was locked."""


def until_written(database: Database, what: str, write: Callable[[Session], T]) -> T:
    """What `write` gives in a transaction of its own, begun anew as long as others are faster.

    Who was outrun once waits for the others that were: on PostgreSQL they write one after the
    other. `what` it is about is told when it does not come about.

    Raises:
        Contended: if others were faster again and again.
    """
    for number in range(TRIES):
        if number:
            longest = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2**number)
            time.sleep(random.uniform(0, longest))  # noqa: S311 (nobody is to guess nothing)
        try:
            with database.write() as session:
                if number and session.get_bind().dialect.name == "postgresql":
                    session.execute(select(func.pg_advisory_xact_lock(_IN_LINE)))
                return write(session)
        except (IntegrityError, Outrun):
            # On the next try it is there.
            continue
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) not in _CONFLICTS:
                raise
    raise Contended(what)
