"""Child processes that are kept alive, end in order, and never outlive their parent.

Three things keep the last promise. On Linux each child gets SIGKILL as its parent-death signal
(`prctl(PR_SET_PDEATHSIG)`). Each child leads a session and a process group of its own, which a
guard process kills when the parent is gone (`heddle/service/guard.py`); that works on any POSIX
system and reaches the children's children too. And `Children.end` ends the children in order.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from heddle.errors import ChildFailed
from heddle.service import guard, log_file

MOST_DEATHS = 5
DEATHS_WINDOW_SECONDS = 60.0
FIRST_DELAY_SECONDS = 0.5
LOG_SECONDS = 5.0
"""Time between two looks at the sizes of the logs."""
_PR_SET_PDEATHSIG = 1
_NO_PARENT = 125

# It is loaded here, as the child may import nothing between fork and exec.
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


@dataclass(frozen=True)
class Command:
    """A process to run: its program, additions to its environment, and how it is ended.

    Commands of the highest `rank` are ended first. Each has `stop_seconds` between SIGTERM and
    SIGKILL.
    """

    name: str
    argv: Sequence[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    rank: int = 0
    stop_seconds: float = 15.0


def start(command: Command, guard_pipe: int | None = None) -> subprocess.Popen[bytes]:
    """Start a child in a session of its own, so that Ctrl-C reaches the parent alone.

    Its output is appended to its log. On Linux it is killed when the *thread* that started it
    ends, so call this from the main thread. With the pipe of a guard, the processes that the child
    starts are killed too.
    """
    command.log.parent.mkdir(parents=True, exist_ok=True)
    parent = os.getpid()

    def die_with_parent() -> None:
        # The child does it: a parent that is killed too early would leave the group unguarded.
        if guard_pipe is not None:
            os.write(guard_pipe, b"%d\n" % os.getpid())
        if _prctl is not None:
            _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            # If the parent died before the line above, the signal never comes.
            if os.getppid() != parent:
                os._exit(_NO_PARENT)

    with command.log.open("ab") as log:
        return subprocess.Popen(  # noqa: S603 - the service's own programs, no shell
            command.argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **command.environment},
            start_new_session=True,
            preexec_fn=die_with_parent,
        )


def end(process: subprocess.Popen[bytes], stop_seconds: float) -> None:
    """Send SIGTERM, then SIGKILL to it and all that it has started; return when it has ended."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(stop_seconds)
    kill_group(process)
    process.wait()


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a child with all that it has started. It is no error if they have ended already."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


class Children:
    """The running commands of a service; use it from the main thread.

    `say` gets each message for the operator, as one line.
    """

    def __init__(
        self, say: Callable[[str], None], *, first_delay_seconds: float = FIRST_DELAY_SECONDS
    ) -> None:
        self._say = say
        self._first_delay_seconds = first_delay_seconds
        self._children: list[_Child] = []
        self._guard = _Guard()
        self._logs_seen = time.monotonic()

    def add(self, command: Command) -> None:
        """Start a command and keep it running."""
        child = _Child(command)
        self._children.append(child)
        self._start(child)

    def run_to_end(self, command: Command, going_on: Callable[[], bool]) -> None:
        """Run a command once.

        Raises:
            ChildFailed: it exited with anything but 0.
        """
        # An error shows only the lines that this process has written.
        since = command.log.stat().st_size if command.log.exists() else 0
        process = self._guarded(command)
        while process.poll() is None and going_on():
            time.sleep(0.05)
        end(process, command.stop_seconds)
        self._guard.forget(process.pid)
        if going_on() and process.returncode != 0:
            what = f"exited with {process.returncode}"
            raise ChildFailed(command.name, what, command.log, since)

    def check(self) -> None:
        """Start commands that have died again, each after a delay; call this often.

        It also empties logs that have grown long; see `log_file.bound`.

        Raises:
            ChildFailed: a command has died five times within a minute.
        """
        now = time.monotonic()
        for child in self._children:
            if child.process is not None and child.process.poll() is not None:
                self._bury(child, now)
            if child.process is None and now >= child.start_at:
                self._start(child)
        if now >= self._logs_seen + LOG_SECONDS:
            self._logs_seen = now
            self._bound_logs()

    def process_id(self, name: str) -> int | None:
        """The process id of a command, or None while the command is down."""
        for child in self._children:
            if child.command.name == name and child.process is not None:
                return child.process.pid
        return None

    def end(self, hurried: Callable[[], bool] = lambda: False) -> None:
        """End all commands: the highest rank first, and those of one rank together.

        When `hurried` turns true, the commands get SIGKILL at once.
        """
        ranked = sorted(self._children, key=lambda child: -child.command.rank)
        for _, group in groupby(ranked, key=lambda child: child.command.rank):
            self._end_together([child for child in group if child.process is not None], hurried)
        self._children.clear()
        self._guard.end()

    def _bound_logs(self) -> None:
        for child in self._children:
            try:
                log_file.bound(child.command.log)
            except OSError as error:
                # A full disk must not end the service.
                self._say(f"the log {child.command.log} cannot be begun anew: {error}")

    def _start(self, child: _Child) -> None:
        child.process = self._guarded(child.command)

    def _guarded(self, command: Command) -> subprocess.Popen[bytes]:
        process = start(command, self._guard.pipe())
        self._guard.watched.add(process.pid)
        return process

    def _bury(self, child: _Child, now: float) -> None:
        assert child.process is not None
        status = child.process.returncode
        # The processes that it had started must not go on beside its successor.
        kill_group(child.process)
        self._guard.forget(child.process.pid)
        child.process = None
        child.deaths.append(now)
        while child.deaths[0] < now - DEATHS_WINDOW_SECONDS:
            child.deaths.popleft()
        ended = (
            f"ended by {signal.Signals(-status).name}" if status < 0 else f"exited with {status}"
        )
        if len(child.deaths) >= MOST_DEATHS:
            raise ChildFailed(
                child.command.name,
                f"{ended}, and died {MOST_DEATHS} times within a minute",
                child.command.log,
            )
        delay = self._first_delay_seconds * 2 ** (len(child.deaths) - 1)
        child.start_at = now + delay
        self._say(f"{child.command.name} {ended}; starting it again in {delay:g} s")

    def _end_together(self, children: Sequence[_Child], hurried: Callable[[], bool]) -> None:
        started = time.monotonic()
        waiting = [(child, child.process) for child in children if child.process is not None]
        for _, process in waiting:
            process.terminate()
        while waiting and not hurried():
            waited = time.monotonic() - started
            waiting = [
                (child, process)
                for child, process in waiting
                if process.poll() is None and waited < child.command.stop_seconds
            ]
            time.sleep(0.05)
        for child in children:
            if child.process is not None:
                if child.process.poll() is None and not hurried():
                    self._say(f"{child.command.name} did not end in time and is killed")
                end(child.process, 0.0)
                self._guard.forget(child.process.pid)


@dataclass
class _Child:
    command: Command
    process: subprocess.Popen[bytes] | None = None
    start_at: float = 0.0
    deaths: deque[float] = field(default_factory=deque)


class _Guard:
    """The process that kills the watched groups when this process is gone."""

    def __init__(self) -> None:
        self.watched: set[int] = set()
        self._process: subprocess.Popen[bytes] | None = None

    def pipe(self) -> int:
        """The pipe on which the guard reads groups; a guard is started if there is none."""
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(  # noqa: S603 - a file of this package
                [sys.executable, "-I", "-S", guard.__file__],
                stdin=subprocess.PIPE,
                start_new_session=True,
                bufsize=0,
            )
            # Somebody may have killed the guard before it, which knew these groups.
            for group in self.watched:
                self._send(group)
        assert self._process.stdin is not None
        return self._process.stdin.fileno()

    def forget(self, group: int) -> None:
        self.watched.discard(group)
        self._send(-group)

    def end(self) -> None:
        if self._process is not None:
            self._process.communicate()
            self._process = None

    def _send(self, group: int) -> None:
        with suppress(BrokenPipeError):
            os.write(self.pipe(), b"%d\n" % group)
