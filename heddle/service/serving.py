"""A service for as long as a program needs it: `heddle up` as its child."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import click

from heddle.client.client import connect
from heddle.errors import HeddleError, ServiceError, tail
from heddle.service.children import Command, end, start
from heddle.service.home import private_home, using
from heddle.service.service import DEFAULT_PORT, READY_SECONDS, STOP_SECONDS, is_ignored

HOST = "127.0.0.1"


@contextmanager
def serving(
    home: Path, port: int | None = None, environment: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Start a service of a home folder, and give its URL.

    The service ends with this process, however that ends. Without a port it takes the default
    one, or a free one when that is taken.

    Raises:
        HomeUnusable: the home cannot be written.
    """
    port = port or _free_port()
    url = f"http://{HOST}:{port}"
    log = home / "logs" / "up.log"
    argv = [sys.executable, "-m", "heddle", "up", "--host", HOST, "--port", str(port)]
    click.echo(f"Starting a service in {home}")
    with private_home(home), using(home):
        log.unlink(missing_ok=True)
        process = start(Command("up", [*argv, "--home", str(home)], log, environment or {}))
    try:
        _until_ready(process, url, log)
        click.echo(f"Serving at {url}")
        yield url
    finally:
        click.echo("Ending the service")
        # A second Ctrl-C must not interrupt this. It is passed on to the service, which hurries.
        before = signal.getsignal(signal.SIGINT)
        if not is_ignored(signal.SIGINT):
            signal.signal(signal.SIGINT, lambda *_: process.send_signal(signal.SIGINT))
        end(process, STOP_SECONDS)
        signal.signal(signal.SIGINT, before)


def _until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    give_up = time.monotonic() + READY_SECONDS
    with connect(url) as client:
        while True:
            if process.poll() is not None:
                raise ServiceError("The service could not start", detail="\n" + tail(log))
            with suppress(HeddleError):
                client.get("/readyz")
                return
            if time.monotonic() > give_up:
                raise ServiceError("The service is not ready", detail="\n" + tail(log))
            time.sleep(0.1)


def _free_port() -> int:
    """The default port if it is free, else any free one."""
    for wanted in (DEFAULT_PORT, 0):
        with suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, wanted))
            return int(probe.getsockname()[1])
    raise ServiceError(f"No port of {HOST} can be bound")
