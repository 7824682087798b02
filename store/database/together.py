"""Writers of one process that share a transaction of SQLite, and so one sync of the disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.orm import Session

T = TypeVar("T")


class _Undone(Exception):
    """SQLite has undone the whole transaction, as it does when the disk is full, for instance."""


class _Place:
    """A thread's work, and what came of it."""

    def __init__(self, work: Callable[[Session], Any]) -> None:
        self.work = work
        self.done = False
        self.result: Any = None
        self.error: BaseException | None = None


class Together:
    """Does the work of waiting threads in one transaction, each in a savepoint of its own.

    A thread brings its work and waits for the turn to write. Whoever gets the turn does all the
    work that is there, and commits it. The others find theirs done.
    """

    def __init__(self, writer: Engine, turn: AbstractContextManager[object]) -> None:
        self._writer, self._turn = writer, turn
        self._waiting: deque[_Place] = deque()

    def do(self, work: Callable[[Session], T]) -> T:
        """What this work returns, once it is committed.

        Raises what the work raises. The work may be called twice, in a new transaction the second
        time.
        """
        place = _Place(work)
        self._waiting.append(place)
        with self._turn:
            if not place.done:
                self._do_all()
        if place.error is not None:
            raise place.error
        result: T = place.result
        return result

    def _do_all(self) -> None:
        # A thread that comes later waits for the turn, so its work may be taken here or by itself.
        places = [self._waiting.popleft() for _ in range(len(self._waiting))]
        try:
            if len(places) == 1:
                self._alone(places[0])
            else:
                self._in_one(places)
        except _Undone:
            # Nothing was committed. Each gets a transaction that no other can undo.
            for place in places:
                self._alone(place)
        except BaseException as error:
            # The transaction could not begin or commit, or the process is told to end.
            for place in places:
                place.error = place.error or error
            if not isinstance(error, Exception):
                raise
        finally:
            for place in places:
                place.done = True

    def _in_one(self, places: list[_Place]) -> None:
        with self._writer.begin() as connection:
            for place in places:
                _in_savepoint(connection, place)

    def _alone(self, place: _Place) -> None:
        place.error = None
        try:
            with Session(self._writer, expire_on_commit=False) as session, session.begin():
                place.result = place.work(session)
        except Exception as error:
            place.error = error


def _in_savepoint(connection: Connection, place: _Place) -> None:
    try:
        with (
            Session(
                connection, join_transaction_mode="create_savepoint", expire_on_commit=False
            ) as session,
            session.begin(),
        ):
            place.result = place.work(session)
    except Exception as error:
        place.error = error
        if not connection.connection.in_transaction:
            raise _Undone from error
