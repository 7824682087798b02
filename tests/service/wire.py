"""A wire between a worker and its broker or database, which can be cut or fall silent."""

from __future__ import annotations

import socket
from contextlib import suppress
from threading import Thread


class Wire:
    """Takes connections for a server at `address` and carries what both ends say."""

    def __init__(self, address: str | tuple[str, int]) -> None:
        self._address = address
        self._links: list[_Link] = []
        self._word: bytes | None = None
        self._parted = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        Thread(target=self._take, daemon=True).start()

    def cut_at(self, word: bytes) -> None:
        """Cut all that is connected when somebody next says a word to the server."""
        self._word = word

    def fall_silent(self) -> None:
        """Carry nothing more over what is connected now, and leave it open."""
        for link in self._links:
            link.silent = True

    def part(self) -> None:
        """Cut all that is connected, and take nothing until `heal` is called."""
        self._parted = True
        self._cut()

    def heal(self) -> None:
        """Take connections again."""
        self._parted = False

    def end(self) -> None:
        self._listener.close()
        self._cut()

    def _take(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if self._parted:
                    near.close()
                    continue
                unix = isinstance(self._address, str)
                far = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
                far.connect(self._address)
                link = _Link(near, far)
                self._links.append(link)
                if self._parted:
                    link.cut()
                Thread(target=self._carry, args=(link, near, far), daemon=True).start()
                Thread(target=self._carry, args=(link, far, near), daemon=True).start()

    def _carry(self, link: _Link, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while said := source.recv(1 << 16):
                if self._word is not None and self._word in said:
                    self._word = None
                    self._cut()
                elif not link.silent:
                    target.sendall(said)
        link.cut()

    def _cut(self) -> None:
        for link in self._links:
            link.cut()
        self._links.clear()


class _Link:
    def __init__(self, *ends: socket.socket) -> None:
        self.silent = False
        self._ends = ends

    def cut(self) -> None:
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
