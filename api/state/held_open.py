"""Requests that are held open until something happens: their count, and its limit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class TooManyHeld(Exception):
    """The service holds as many event streams and waits open as it may."""

    def __init__(self, most: int) -> None:
        super().__init__(
            f"The service holds {most} event streams and waits open, and takes no more"
            " (HEDDLE_MOST_STREAMS and its limit of open files). Try again, or ask without wait."
        )


class Held:
    """Counts event streams and requests with `?wait=`. Each is a connection, so an open file."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._open = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place for one held request.

        Raises:
            TooManyHeld: there is no place left.
        """
        if self._open >= self.most:
            raise TooManyHeld(self.most)
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1
