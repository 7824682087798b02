"""`python -m api --processes 2`, whole: it starts, answers, replaces a child, and ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from api.server.processes import SEVERAL
from store.database.connection import migrate
from tests.heddle.fake_programs import clean_environment, free_port, until

pytestmark = pytest.mark.skipif(not SEVERAL, reason="there is one process alone")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[tuple[psutil.Popen, str]]:
    url = f"sqlite:///{tmp_path / 'heddle.db'}"
    migrate(url)
    port = free_port()
    with (tmp_path / "log").open("w") as log:
        process = psutil.Popen(
            [sys.executable, "-m", "api", "--port", str(port), "--processes", "2"],
            env=clean_environment(HEDDLE_HOME=str(tmp_path), HEDDLE_DATABASE_URL=url),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def test_two_processes_answer_on_one_port(service: tuple[psutil.Popen, str]) -> None:
    process, url = service

    def ask() -> bool:
        try:
            return httpx.get(f"{url}/healthz", trust_env=False).is_success
        except httpx.TransportError:
            return False

    def all_answer() -> bool:
        """Each of twenty connections, which the kernel shares out."""
        return all(ask() for _ in range(20))

    def served_by() -> set[int]:
        found = set()
        for child in process.children():
            # It may have ended since it was listed.
            with suppress(psutil.NoSuchProcess):
                if any(one.status == psutil.CONN_LISTEN for one in child.net_connections()):
                    found.add(child.pid)
        return found

    until(lambda: len(served_by()) == 2 and all_answer())
    before = served_by()
    killed = min(before)
    os.kill(killed, signal.SIGKILL)
    until(lambda: len(served_by() - {killed}) == 2)
    after = served_by()
    assert before - after == {killed}
    until(all_answer)
    # What one process has written, each reads.
    spec = {"dataset": "digits", "objective": "vae", "training": {"steps": 10}}
    made = httpx.post(f"{url}/v1/experiments", json=spec, trust_env=False)
    assert made.status_code == 202
    for _ in range(20):
        found = httpx.get(f"{url}{made.headers['Location']}", trust_env=False)
        assert found.content == made.content
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert not any(psutil.pid_exists(child) for child in after)
    assert not ask()
