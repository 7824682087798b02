"""A broker that is killed, stopped and started again, and a worker that waits for its hints."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from api.state.hints import Hints
from heddle.service import broker as brokers
from heddle.service.broker import choose_broker
from heddle.service.children import Command, kill_group, start
from heddle.service.service import _worker
from tests.heddle.fake_programs import clean_environment
from tests.service.wire import Wire

KINDS = ("wheel", "path", "python")


class Hinted:
    """A home with a broker, a worker for training, and the API's way to send hints."""

    def __init__(self, home: Path, kind: str, *, wired: bool, health: int | None) -> None:
        self._home = home
        self._broker = choose_broker(home, environment_of(kind, home))
        self._redis = start(self._broker.command)
        self._broker.wait(lambda: True)
        self._wire = Wire(self._broker.address)
        self._hints = Hints(self._broker.url)
        url = f"redis://127.0.0.1:{self._wire.port}/0" if wired else self._broker.url
        argv = _worker("train", "-c", "1", "-P", "prefork")
        argv[argv.index("worker.app")] = "tests.service.cheap_worker"
        environment = clean_environment(HEDDLE_HOME=str(home), HEDDLE_BROKER_URL=url)
        if health is not None:
            environment["CHEAP_HEALTH_SECONDS"] = str(health)
        self.log = home / "logs" / "train.log"
        self._worker = start(Command("train", argv, self.log, environment))

    def seconds_until_taken(self, most: float = 60.0) -> float:
        """How long it takes until the worker takes a hint; more are sent until it does."""
        taken, began = self._taken(), time.monotonic()
        while self._taken() == taken:
            waited = time.monotonic() - began
            assert waited < most, self.log.read_text()[-5000:]
            assert self._worker.poll() is None, "the worker has ended"
            self._hints.send()
            time.sleep(0.1)
        return time.monotonic() - began

    def kill(self) -> None:
        """SIGKILL the broker, and delete all it knew."""
        kill_group(self._redis)
        self._redis.wait()
        shutil.rmtree(self._home / "redis", ignore_errors=True)

    def restart(self) -> None:
        """Start the broker again at the same address; returns when it answers."""
        (self._home / "redis").mkdir(exist_ok=True)
        self._redis = start(self._broker.command)
        self._broker.wait(lambda: True)

    def stop(self) -> None:
        """Let the broker hang: its connections stay open, and nothing is answered."""
        os.killpg(self._redis.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.killpg(self._redis.pid, signal.SIGCONT)

    def cut_at_acknowledgement(self) -> None:
        """Let the worker lose its connections when it has a message and says so."""
        self._wire.cut_at(b"HDEL")
        self.seconds_until_taken()

    def fall_silent(self) -> None:
        """Let the worker's connections be as those to a machine that is gone."""
        self._wire.fall_silent()
        time.sleep(0.5)  # What it had received by then is done.

    @contextmanager
    def busy(self) -> Iterator[None]:
        """A task is under way in the pool."""
        (self._home / "busy").touch()
        self.seconds_until_taken()
        yield
        (self._home / "busy").unlink()

    def seconds_to_end_at_a_message(self) -> float:
        """How long the worker takes to end that is told to as it hands a task to its child."""
        (self._home / "ending").touch()
        self._hints.send()
        began = time.monotonic()
        assert self._worker.wait(60) == 0, self.log.read_text()[-5000:]
        return time.monotonic() - began

    def end(self) -> None:
        for process in (self._worker, self._redis):
            kill_group(process)
            process.wait()
        self._wire.end()
        self._broker.tidy()

    def _taken(self) -> int:
        file = self._home / "taken"
        return len(file.read_text().splitlines()) if file.exists() else 0


@contextmanager
def hinted(
    home: Path, kind: str, *, wired: bool = False, health: int | None = None
) -> Iterator[Hinted]:
    """Such a home, with a broker of one kind; its worker has taken a hint.

    `wired`: the worker reaches the broker through a wire of ours, and the hints do not. `health`:
    every so many seconds it looks at its connection, in place of as it would.
    """
    here = Hinted(home, kind, wired=wired, health=health)
    try:
        here.seconds_until_taken()
        yield here
    finally:
        here.end()


def environment_of(kind: str, home: Path) -> dict[str, str]:
    """What makes `choose_broker` take this kind of broker."""
    binary = brokers._in_wheel()
    assert binary is not None
    programs = home / "programs"
    programs.mkdir(parents=True)
    (programs / "redis-server").symlink_to(binary)
    return {"HEDDLE_REDIS": kind, "PATH": str(programs)}
