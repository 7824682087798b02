"""Children are kept alive, end in order, and never outlive their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from heddle.errors import ChildFailed
from heddle.service.children import Children, Command, end, start
from tests.heddle.fake_programs import PATIENCE


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def children(said: list[str]) -> Iterator[Children]:
    children = Children(said.append, first_delay_seconds=0.02)
    yield children
    children.end(hurried=lambda: True)


def shell(
    name: str, script: str, folder: Path, *, rank: int = 0, stop_seconds: float = 5.0
) -> Command:
    return Command(
        name, ["sh", "-c", script], folder / f"{name}.log", rank=rank, stop_seconds=stop_seconds
    )


def until(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "did not come true in time"
        time.sleep(0.01)


def running(process_id: int) -> bool:
    """Whether a process runs; one that ended and was not waited for yet does not."""
    try:
        stat = Path(f"/proc/{process_id}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def numbers(path: Path) -> list[int]:
    return [int(line) for line in path.read_text().split()] if path.exists() else []


PARENT = """
import sys, time
from pathlib import Path
from heddle.service.children import Children, Command
children = Children(print)
script = "sleep 600 & echo $$ $! > pids; wait"
children.add(Command("child", ["sh", "-c", script], Path("child.log")))
time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_children_and_their_children_die_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], cwd=tmp_path)
    until(lambda: len(numbers(tmp_path / "pids")) == 2)
    child, grandchild = numbers(tmp_path / "pids")
    assert running(child)
    assert running(grandchild)
    parent.kill()
    parent.wait()
    until(lambda: not running(child) and not running(grandchild))


ALONE = """
import os, time
from pathlib import Path
from heddle.service.children import Command, start
child = start(Command("child", ["sleep", "600"], Path("child.log")))
Path("pids").write_text(f"{child.pid}\\n")
time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="there is no parent-death signal elsewhere")
def test_a_child_dies_with_its_parent_without_the_guard_too(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", ALONE], cwd=tmp_path)
    until(lambda: numbers(tmp_path / "pids"))
    (child,) = numbers(tmp_path / "pids")
    parent.kill()
    parent.wait()
    until(lambda: not running(child))


def test_a_child_is_out_of_reach_of_the_terminal(tmp_path: Path) -> None:
    process = start(shell("child", "exec sleep 600", tmp_path))
    assert os.getsid(process.pid) == process.pid
    end(process, stop_seconds=5.0)
    assert process.returncode == -signal.SIGTERM


def test_the_highest_rank_ends_first_and_one_rank_together(
    children: Children, tmp_path: Path
) -> None:
    ended = tmp_path / "ended"
    for name, rank in [("redis", 0), ("api", 1), ("train", 2), ("control", 2)]:
        # A worker takes its time, so that an order that was not kept would show.
        rest = 0.2 if rank == 2 else 0
        script = f"trap 'sleep {rest}; echo {name} >> {ended}; exit' TERM; "
        script += f"touch {tmp_path / name}; while :; do sleep 0.01; done"
        children.add(shell(name, script, tmp_path, rank=rank))
        until((tmp_path / name).exists)
    children.end()
    *workers, api, redis = ended.read_text().split()
    assert sorted(workers) == ["control", "train"]
    assert (api, redis) == ("api", "redis")


def test_one_that_does_not_listen_is_killed_when_its_time_is_over(
    children: Children, said: list[str], tmp_path: Path
) -> None:
    script = f"trap '' TERM; touch {tmp_path / 'up'}; while :; do sleep 0.01; done"
    children.add(shell("deaf", script, tmp_path, stop_seconds=0.2))
    until((tmp_path / "up").exists)
    process_id = children.process_id("deaf")
    assert process_id is not None
    children.end()
    assert not running(process_id)
    assert said == ["deaf did not end in time and is killed"]


def test_a_dead_child_is_named_and_started_again(
    children: Children, said: list[str], tmp_path: Path
) -> None:
    children.add(shell("api", "exec sleep 600", tmp_path))
    first = children.process_id("api")
    assert first is not None
    os.kill(first, signal.SIGKILL)

    def back() -> bool:
        children.check()
        return children.process_id("api") not in (None, first)

    until(back)
    assert said == ["api ended by SIGKILL; starting it again in 0.02 s"]


def test_what_a_dead_child_had_started_does_not_work_on(children: Children, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    children.add(shell("train", f"sleep 600 & echo $$ $! > {pids}; wait", tmp_path))
    until(lambda: len(numbers(pids)) == 2)
    child, grandchild = numbers(pids)
    os.kill(child, signal.SIGKILL)

    def gone() -> bool:
        children.check()
        return not running(grandchild)

    until(gone)


def test_five_deaths_within_a_minute_are_too_many(
    children: Children, said: list[str], tmp_path: Path
) -> None:
    children.add(shell("api", "echo no such module; exit 3", tmp_path))
    with pytest.raises(ChildFailed) as failed:
        until(lambda: children.check())
    assert "api exited with 3, and died 5 times within a minute" in str(failed.value)
    assert "no such module" in str(failed.value)
    # Each pause is twice the one before.
    assert [line.split()[-2] for line in said] == ["0.02", "0.04", "0.08", "0.16"]


def test_a_step_that_fails_shows_the_end_of_its_log(children: Children, tmp_path: Path) -> None:
    with pytest.raises(ChildFailed, match=r"(?s)migrate exited with 4.*table runs is missing"):
        children.run_to_end(
            shell("migrate", "echo table runs is missing; exit 4", tmp_path), lambda: True
        )


def test_a_step_ends_when_somebody_wants_out(children: Children, tmp_path: Path) -> None:
    # For longer than a test may take.
    children.run_to_end(shell("migrate", "exec sleep 600", tmp_path), lambda: False)
