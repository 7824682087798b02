"""`heddle up` with small programs in place of the API and the worker: real processes throughout."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import pytest

from heddle.client.client import served_url
from heddle.service.service import _signals
from tests.heddle.fake_programs import PATIENCE, free_port, processes, until, write_programs

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("programs")
    write_programs(folder)
    return folder


class Up:
    """One `heddle up` in a folder, on a home and a port of its own."""

    def __init__(self, programs: Path, home: Path, *ignored: signal.Signals) -> None:
        self.home = home
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = up(programs, home, self.port, ignored=ignored)
        assert self.process.stdout is not None
        self.first_line = self.process.stdout.readline()
        assert self.url in self.first_line, self.process.communicate()

    def ticks(self) -> int:
        ticks = self.home / "ticks"
        return len(ticks.read_text().splitlines()) if ticks.exists() else 0


def up(
    programs: Path, home: Path, port: int, *options: str, ignored: Sequence[signal.Signals] = ()
) -> subprocess.Popen[str]:
    def ignore() -> None:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)

    return subprocess.Popen(
        [sys.executable, "-m", "heddle", "up", "--home", str(home), "--port", str(port), *options],
        cwd=programs,
        env={name: value for name, value in os.environ.items() if not name.startswith("HEDDLE_")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=ignore,
    )


@pytest.fixture(scope="module")
def started() -> Iterator[list[Up]]:
    """The services that tests have shared; the last of them may still be there."""
    started: list[Up] = []
    yield started
    for serving in started:
        serving.process.kill()
        serving.process.communicate()


@pytest.fixture
def serving(started: list[Up], programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Up:
    """A service that several tests look at; after one that has ended it there is another."""
    if not started or started[-1].process.poll() is not None:
        started.append(Up(programs, tmp_path_factory.mktemp("service") / "home"))
    return started[-1]


def test_the_service_is_whole_when_it_is_ready(serving: Up) -> None:
    assert (serving.home / "migrated").exists()
    assert served_url(serving.home) == serving.url
    told = httpx.get(f"{serving.url}/readyz", timeout=PATIENCE).json()
    assert told["HEDDLE_HOME"] == str(serving.home)
    assert told["HEDDLE_PORT"] == str(serving.port)
    assert told["OMP_NUM_THREADS"] == "1"
    assert told["HEDDLE_BROKER_URL"].startswith("redis")
    # The schedule, the broker and the control worker: a task comes around.
    until(lambda: serving.ticks() > 1)
    for queue in ("train", "evaluate", "control"):
        assert any(f"-Q {queue}" in command for command in processes(serving.home).values())


def test_the_word_left_in_the_home_is_json(serving: Up) -> None:
    word = json.loads((serving.home / "service.json").read_text())
    assert word == {"pid": serving.process.pid, "url": serving.url}


def test_a_second_service_on_the_home_says_who_serves_it(serving: Up, programs: Path) -> None:
    second = up(programs, serving.home, free_port())
    _, said = second.communicate(timeout=PATIENCE)
    assert second.returncode == 1
    assert f"is served already, by process {serving.process.pid} at {serving.url}" in said
    assert served_url(serving.home) == serving.url


def test_a_taken_port_is_named(serving: Up, programs: Path, tmp_path: Path) -> None:
    other = up(programs, tmp_path, serving.port)
    _, said = other.communicate(timeout=PATIENCE)
    assert other.returncode == 1
    assert f"Cannot serve on 127.0.0.1:{serving.port}: Address already in use" in said


def test_workers_consume_again_after_redis_was_killed(serving: Up) -> None:
    (redis,) = [
        process_id
        for process_id, command in processes(serving.home).items()
        if "redis-server" in command or "heddle.service.fake_redis" in command
    ]
    os.kill(redis, signal.SIGKILL)
    before = serving.ticks()
    until(lambda: serving.ticks() > before + 2)


def test_nothing_outlives_a_killed_service(serving: Up) -> None:
    # Eight at least: redis, the API, three workers, two pools and the beat.
    until(lambda: len(processes(serving.home)) >= 8)
    serving.process.kill()
    serving.process.wait()
    until(lambda: not processes(serving.home))


@pytest.mark.parametrize("ignored", [(), (signal.SIGINT, signal.SIGHUP)])
def test_a_service_that_is_asked_to_ends_in_order(
    ignored: Sequence[signal.Signals], programs: Path, tmp_path: Path
) -> None:
    serving = Up(programs, tmp_path, *ignored)
    # As by nohup, and in the background of a script.
    word = f"kill {serving.process.pid}" if ignored else "Ctrl-C"
    assert serving.first_line.endswith(f" {word} ends it.\n")
    for number in ignored:
        serving.process.send_signal(number)
    serving.process.send_signal(signal.SIGTERM if ignored else signal.SIGINT)
    _, said = serving.process.communicate(timeout=PATIENCE)
    assert serving.process.returncode == 0
    assert said == "Ending\n"
    assert not processes(serving.home)
    assert served_url(tmp_path) is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_what_is_ignored_where_it_is_started_does_not_end_it(number: signal.Signals) -> None:
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with _signals() as stop:
            signal.raise_signal(number)
            assert stop.going_on()
            signal.raise_signal(signal.SIGTERM)
            assert not stop.going_on()
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


def test_a_failing_migration_is_shown(programs: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    (broken / "store").mkdir(parents=True)
    (broken / "store" / "__init__.py").touch()
    (broken / "store" / "migrate.py").write_text("raise SystemExit('no such revision: 0007')")
    process = up(broken, tmp_path / "home", free_port())
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "migrate exited with 1" in said
    assert "no such revision: 0007" in said


def test_as_many_runs_are_trained_at_once_as_it_is_asked_for(
    programs: Path, tmp_path: Path
) -> None:
    process = up(programs, tmp_path, free_port(), "--train-processes", "2")
    assert process.stdout is not None
    process.stdout.readline()
    # The worker and the two that it has forked.
    until(lambda: sum("-Q train" in one for one in processes(tmp_path).values()) == 3)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    refused = up(programs, tmp_path, free_port(), "--train-processes", "none")
    _, said = refused.communicate(timeout=PATIENCE)
    assert refused.returncode == 2
    assert "--train-processes" in said
