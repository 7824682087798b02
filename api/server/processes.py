"""Several processes of the service on one port, which share what they have imported."""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

SEVERAL = sys.platform == "linux"
"""Whether there can be several processes: Linux alone shares connections out among the sockets of
one port, and can end a process with its parent."""
PROCESSES = "HEDDLE_API_PROCESSES"
"""The environment variable that tells a process how many there are."""
MOST_DEATHS = 5
DEATHS_WINDOW_SECONDS = 60.0
AGAIN_SECONDS = 0.5

_PR_SET_PDEATHSIG = 1
_ENDING = {signal.SIGINT, signal.SIGTERM}

_locks: list[Path] = []

logger = logging.getLogger(__name__)


def of_several() -> int:
    """How many processes serve together, this one included."""
    return int(os.environ.get(PROCESSES) or 1)


def share(limit: int) -> int:
    """This process's part of a limit on all processes together."""
    return -(-limit // of_several())


def locks() -> list[Path]:
    """Files that the processes of this service may lock, two if there are several processes."""
    return _locks


def make_locks() -> None:
    """Make `locks`, before there are children. They lie in memory, which is never away or full."""
    for _ in range(2):
        # Each process opens the file anew by this name, as those who share an opening share locks.
        _locks.append(Path(f"/proc/self/fd/{os.memfd_create('heddle')}"))


def reserve(host: str, port: int) -> list[socket.socket]:
    """Sockets that hold the port for this service's processes, and take no connections themselves.

    Raises:
        OSError: another program has the port.
    """
    # Sockets that share a port are refused where one does not share it. So this finds out whether
    # it is free, also of the processes of another service of the same user.
    for probe in _bound(host, port, socket.SO_REUSEADDR):
        probe.close()
    reserved = sharing(host, port)
    for one in reserved:
        # The children listen seconds later. Until then Linux would give the port to any other
        # service that sets this option, as all services do.
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    return reserved


def sharing(host: str, port: int) -> list[socket.socket]:
    """A socket of each address of the host, which may have others in other processes.

    Raises:
        OSError: there is none that this machine has and may bind.
    """
    return _bound(host, port, socket.SO_REUSEADDR, socket.SO_REUSEPORT)


def _bound(host: str, port: int, *options: int) -> list[socket.socket]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    addresses = dict.fromkeys((family, address) for family, _, _, _, address in found)
    bound: list[socket.socket] = []
    try:
        for family, (name, _, *rest) in addresses:
            # If any port will do, all addresses have the same.
            here = (name, bound[0].getsockname()[1] if bound else port, *rest)
            # The IPv4 address of a name has a socket of its own.
            one = _bound_to(family, here, options, alone=len(addresses) == 1)
            bound += [] if one is None else [one]
        if not bound:
            raise OSError(errno.EADDRNOTAVAIL, f"this machine has no address of {host!r}")
    except BaseException:
        for one in bound:
            one.close()
        raise
    return bound


def _bound_to(
    family: int, address: tuple[str | int, ...], options: Sequence[int], *, alone: bool
) -> socket.socket | None:
    """A socket of an address, or None if this machine has no such address."""
    try:
        made = socket.socket(family)
    except OSError:
        return None
    try:
        for option in options:
            made.setsockopt(socket.SOL_SOCKET, option, 1)
        if family == socket.AF_INET6 and not alone:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
    except BaseException as error:
        made.close()
        if isinstance(error, OSError) and error.errno == errno.EADDRNOTAVAIL:
            return None
        raise
    return made


def hold_signals() -> None:
    """Leave signals to `keep`. Call this before imports, which may start threads of libraries.

    A thread that begins later leaves them to it too. Without this, one thread could end the process
    and leave the children to themselves.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {*_ENDING, signal.SIGCHLD})


def keep(number: int, serve: Callable[[], None]) -> int:
    """Have this many children `serve` until SIGINT or SIGTERM, and start those again that die.

    Returns:
        The exit status: 1 if they died again and again.
    """
    hold_signals()
    children = {_start(serve) for _ in range(number)}
    deaths: deque[float] = deque(maxlen=MOST_DEATHS)
    status = 0
    while True:
        came = signal.sigwait({*_ENDING, signal.SIGCHLD})
        if came in _ENDING:
            break
        for dead in _ended(children):
            children.discard(dead)
            deaths.append(time.monotonic())
            logger.error("process %d has ended, and another is started", dead)
        if len(deaths) == MOST_DEATHS and time.monotonic() - deaths[0] < DEATHS_WINDOW_SECONDS:
            status = 1
            break
        while len(children) < number:
            time.sleep(AGAIN_SECONDS)
            children.add(_start(serve))
    for child in children:
        os.kill(child, signal.SIGTERM)
    for child in children:
        os.waitpid(child, 0)
    return status


def _start(serve: Callable[[], None]) -> int:
    parent = os.getpid()
    child = os.fork()
    if child:
        return child
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {*_ENDING, signal.SIGCHLD})
        if os.getppid() == parent:
            serve()
    except SystemExit as ended:
        os._exit(ended.code if isinstance(ended.code, int) else 1)
    except BaseException:
        logger.exception("a process of the service failed")
        os._exit(1)
    os._exit(0)


def _ended(children: set[int]) -> list[int]:
    # Several deaths may be told by one signal.
    return [child for child in children if os.waitpid(child, os.WNOHANG)[0] == child]
