"""A plugin for pytest: no process outlives the file of tests that has started it.

A test that fails half way may leave a whole service behind, which takes the time of the tests after
it, and the machine's when they are over. What fixtures of the whole session have started stays.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

PROCESS, RUN = "TESTS_OF_PROCESS", "TESTS_OF_RUN"
"""What a test starts bears these, with what it starts in turn: the pytest that ran the test, and
the one that people have started, which may have several others."""
_HELPERS = ("multiprocessing.forkserver", "multiprocessing.resource_tracker")
"""Python starts these once for all tests, and they end with us."""

ENDING_SECONDS = 10.0
"""For what was told to end, or killed, a moment ago."""

_spared: set[psutil.Process] = set()


def pytest_configure(config: pytest.Config) -> None:
    os.environ[PROCESS] = str(os.getpid())
    if not hasattr(config, "workerinput"):  # as in the processes that xdist starts
        os.environ[RUN] = str(os.getpid())


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Iterator[None]:
    if fixturedef.scope != "session":
        return (yield)
    before = {process for process, _ in _started(PROCESS)}
    result = yield
    _spared.update(process for process, _ in _started(PROCESS) if process not in before)
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    yield
    if nextitem is None or nextitem.path != item.path:
        left = _end(_still_there())
        if left:
            pytest.fail("Killed what these tests had left behind:\n" + "\n".join(left), False)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        # Of a process of xdist's that was killed, or of a run that was stopped.
        left = [(process, test) for process, test in _started(RUN) if not _helps(process)]
        for line in _end(left):
            print("Killed what the tests had left behind:", line)


def _still_there() -> list[tuple[psutil.Process, str]]:
    """What is left when all that is about to end has ended."""
    give_up = time.monotonic() + ENDING_SECONDS
    while True:
        left = [(process, test) for process, test in _started(PROCESS) if _is_left(process)]
        if not left or time.monotonic() > give_up:
            return left
        time.sleep(0.1)


def _is_left(process: psutil.Process) -> bool:
    try:
        ancestors = [process, *process.parents()]
        is_over = process.status() == psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
    return not is_over and not _helps(process) and not _spared.intersection(ancestors)


def _helps(process: psutil.Process) -> bool:
    try:
        command = " ".join(process.cmdline())
    except psutil.Error:
        return False
    return any(helper in command for helper in _HELPERS)


def _started(name: str) -> list[tuple[psutil.Process, str]]:
    """The processes that bear our mark or descend from us, with the test that started each."""
    descendants = set(psutil.Process().children(recursive=True))
    found = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
        except psutil.Error:
            environment = {}
        ours = environment.get(name) == str(os.getpid()) or process in descendants
        if ours and process.pid != os.getpid():
            found.append((process, environment.get("PYTEST_CURRENT_TEST", "")))
    return found


def _end(started: list[tuple[psutil.Process, str]]) -> list[str]:
    """Kill processes; a line for each that was still running."""
    killed = []
    for process, test in started:
        try:
            if process.status() != psutil.STATUS_ZOMBIE:
                command = " ".join(process.cmdline())
                process.kill()
                killed.append(f"{process.pid} {command} {test and 'of ' + test}")
        except psutil.Error:
            continue
    return killed
