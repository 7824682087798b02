"""The embedded service: one command serves a home folder, and ends all that it started.

Everything lies under the home: the database, the objects, the checkpoints, the logs and the
broker's file. HEDDLE_DATABASE_URL, HEDDLE_BROKER_URL and other variables of the environment are
respected. Where HEDDLE_BROKER_URL is set, no Redis is started.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import httpx
from filelock import FileLock, Timeout

from heddle.errors import HomeServed, PortTaken, ServiceError
from heddle.service.broker import choose_broker
from heddle.service.children import Children, Command
from heddle.service.home import private_home, using

DEFAULT_PORT = 8000
READY_SECONDS = 180.0
#: A wide cohort writes the checkpoint of every run before it stops.
TRAIN_STOP_SECONDS = 60.0
#: A service ends within this time: each rank of children has its own, and a little is added.
STOP_SECONDS = TRAIN_STOP_SECONDS + 35.0

#: glibc gives large freed buffers back to the system, and a training step asks for the same ones
#: again and again. With these settings glibc keeps them.
KEEP_FREED = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 32),
}

#: Signals that a terminal sends at Ctrl-C and when it is closed.
_OF_TERMINAL = (signal.SIGINT, signal.SIGHUP)

Say = Callable[[str], None]


def serve(
    home: Path,
    *,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    train_processes: int = 1,
    api_processes: int = 1,
    say: Say,
    when_ready: Callable[[str, bytes], None],
) -> None:
    """Serve a home folder until SIGINT, SIGTERM or SIGHUP; call it from the main thread.

    SIGINT and SIGHUP stay ignored if this process was started so, as by `nohup` or in the
    background of a script. `when_ready` gets the URL and the body of the first successful answer
    of `/readyz`. A second signal kills everything at once.

    Raises:
        HomeUnusable: the home cannot be made or written.
        HomeServed: another process serves this home.
        PortTaken: the port cannot be bound.
        ChildFailed: a process of the service failed for good.
    """
    url = f"http://{_reachable(host)}:{port}"
    with private_home(home) as home, _signals() as stop, _locked(home, url):
        _check_port(host, port)
        service = _Service(home, host, port, url, train_processes, api_processes, say, stop)
        service.run(when_ready)


class Stop:
    """How often a signal has asked the service to end."""

    def __init__(self) -> None:
        self.asked = 0

    def going_on(self) -> bool:
        return self.asked == 0

    def hurried(self) -> bool:
        return self.asked > 1


class _Service:
    def __init__(
        self,
        home: Path,
        host: str,
        port: int,
        url: str,
        train_processes: int,
        api_processes: int,
        say: Say,
        stop: Stop,
    ) -> None:
        self._home = home
        self._train_processes = train_processes
        self._api_processes = api_processes
        self._host = host
        self._port = port
        self._url = url
        self._say = say
        self._stop = stop
        self._children = Children(say)

    def run(self, when_ready: Callable[[str, bytes], None]) -> None:
        broker = None
        environment = {
            "HEDDLE_HOME": str(self._home),
            "HEDDLE_HOST": self._host,
            "HEDDLE_PORT": str(self._port),
            "PYTHONUNBUFFERED": "1",
        }
        try:
            if not os.environ.get("HEDDLE_BROKER_URL"):
                broker = choose_broker(self._home)
                self._children.add(broker.command)
                environment["HEDDLE_BROKER_URL"] = broker.url
            migrate = [sys.executable, "-m", "store.migrate"]
            self._children.run_to_end(
                self._command("migrate", migrate, environment, rank=0), self._check
            )
            if broker is not None:
                broker.wait(self._check)
            first, later = self._commands(environment)
            for command in first:
                self._children.add(command)
            answer = self._until_ready()
            if answer is not None:
                for command in later:
                    self._children.add(command)
                when_ready(self._url, answer)
            while self._check():
                time.sleep(0.1)
        finally:
            self._say("Ending")
            self._children.end(self._stop.hurried)
            if broker is not None:
                broker.tidy()

    def _check(self) -> bool:
        """Keep the children running; False when the service is to end."""
        if self._stop.going_on():
            self._children.check()
        return self._stop.going_on()

    def _commands(self, environment: dict[str, str]) -> tuple[list[Command], list[Command]]:
        """What a first run needs, and what is needed after it.

        Each imports for seconds. If all started at once, two cores would make the API wait.
        """
        python = sys.executable
        api = [python, "-m", "api", "--host", self._host, "--port", str(self._port)]
        api += ["--processes", str(self._api_processes)]
        one_thread = {"OMP_NUM_THREADS": "1"}
        # With more threads than cores, threads wait for each other, which costs far more.
        cores = max(1, (os.cpu_count() or 1) - 1) // self._train_processes
        threads = os.environ.get("HEDDLE_TRAIN_THREADS") or str(max(1, cores))
        first = [
            self._command("api", api, environment | one_thread, rank=1),
            self._command(
                "train",
                _worker("train", "-c", str(self._train_processes), "-P", "prefork"),
                environment
                | KEEP_FREED
                | {
                    "OMP_NUM_THREADS": threads,
                    "HEDDLE_TRAIN_THREADS": threads,
                    "HEDDLE_TRAIN_PROCESSES": str(self._train_processes),
                },
                rank=2,
                stop_seconds=TRAIN_STOP_SECONDS,
            ),
        ]
        later = [
            self._command(
                "evaluate",
                _worker("evaluate", "-c", "1", "-P", "prefork"),
                environment | one_thread,
                rank=2,
            ),
            self._command(
                "control",
                _worker("control", "-P", "solo", "-B"),
                environment | one_thread,
                rank=2,
            ),
        ]
        return first, later

    def _command(
        self,
        name: str,
        argv: list[str],
        environment: dict[str, str],
        *,
        rank: int,
        stop_seconds: float = 15.0,
    ) -> Command:
        log = self._home / "logs" / f"{name}.log"
        return Command(name, argv, log, environment, rank, stop_seconds)

    def _until_ready(self) -> bytes | None:
        """The body of the first successful `/readyz`, or None if the service is to end first."""
        give_up = time.monotonic() + READY_SECONDS
        said = "nothing"
        # A proxy that the environment names is not for a loopback address.
        with httpx.Client(timeout=5.0, trust_env=False) as http:
            while self._check():
                with suppress(httpx.TransportError):
                    response = http.get(f"{self._url}/readyz")
                    if response.is_success:
                        return response.content
                    said = f"{response.status_code} {response.text[:500]}"
                if time.monotonic() > give_up:
                    raise ServiceError(
                        f"{self._url}/readyz said {said} for {READY_SECONDS:g} s; "
                        f"the logs are in {self._home / 'logs'}"
                    )
                time.sleep(0.1)
        return None


def _worker(queue: str, *options: str) -> list[str]:
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "INFO"]
    celery = [sys.executable, "-m", "celery", "-A", "worker.app", "worker"]
    return [*celery, "-Q", queue, "-n", f"{queue}@%h", *options, *quiet]


@contextmanager
def _locked(home: Path, url: str) -> Iterator[None]:
    """Lock the home for this process, and record there the process and its URL."""
    record = home / "service.json"
    lock = FileLock(home / "lock")
    with using(home):
        # `Timeout` is an OSError, which `using` must not see.
        try:
            lock.acquire(timeout=0)
        except Timeout:
            served = {}
            with suppress(OSError, ValueError):
                served = json.loads(record.read_text())
            raise HomeServed(home, served.get("pid", "?"), served.get("url", "?")) from None
    try:
        with using(home):
            record.write_text(json.dumps({"pid": os.getpid(), "url": url}))
        yield
    finally:
        record.unlink(missing_ok=True)
        lock.release()


def is_ignored(number: signal.Signals) -> bool:
    """Whether this process ignores a signal, as its parent chose."""
    return signal.getsignal(number) is signal.SIG_IGN


def how_to_end() -> str:
    """What ends this process in order, in words."""
    return f"kill {os.getpid()}" if is_ignored(signal.SIGINT) else "Ctrl-C"


@contextmanager
def _signals() -> Iterator[Stop]:
    """Count the signals that ask the service to end, in place of dying from them."""
    stop = Stop()

    def ask(_number: int, _frame: FrameType | None) -> None:
        stop.asked += 1

    wanted = [signal.SIGTERM, *(one for one in _OF_TERMINAL if not is_ignored(one))]
    before = {number: signal.signal(number, ask) for number in wanted}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _check_port(host: str, port: int) -> None:
    """Raise PortTaken unless the port can be bound now."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            # The server sets this too: connections that were just closed do not hold the port.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise PortTaken(host, port, error) from error


def _reachable(host: str) -> str:
    """The host part of a URL that reaches a server bound to `host` from this machine."""
    if host in ("0.0.0.0", "::"):  # noqa: S104
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host
