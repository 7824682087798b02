"""Requests that are held open until something happens: how many there are, and may be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class TooManyHeld(Exception):
    """As many streams and waits are open as the service can hold."""

    def __init__(self, most: int) -> None:
        super().__init__(
            f"The service holds {most} event streams and waits open, and takes no more"
            " (HEDDLE_MOST_STREAMS and its limit of open files). Try again, or ask without wait."
        )


class Held:
    """Counts event streams and `?wait=`; each is a connection, which is an open file."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._open = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """Held as long as this lasts.

        Raises:
            TooManyHeld: if there are as many as may be.
        """
        if self._open >= self.most:
            raise TooManyHeld(self.most)
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1
