from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.heddle.fake_programs import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

TESTS = """
import subprocess, time
from pathlib import Path
import pytest

def sleep(name):
    script = f"sleep 600 & echo $! > {name}; wait"
    process = subprocess.Popen(["sh", "-c", script], start_new_session=True)
    while not (Path(name).exists() and Path(name).read_text()):
        time.sleep(0.01)
    return process

@pytest.fixture(scope="session")
def shared():
    process = sleep("shared")
    yield
    assert process.poll() is None
    subprocess.run(["pkill", "-s", str(process.pid)])

def test_one(shared):
    # Nobody is its parent any more.
    sleep("orphan").kill()

def test_two():
    sleep("child")
    assert not "well"
"""
ANOTHER = """
import subprocess

def test_three():
    # As what was killed, or told to end, a moment ago.
    subprocess.Popen(["sleep", "0.5"], start_new_session=True)
"""


def is_over(number: int) -> bool:
    try:
        return psutil.Process(number).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_what_tests_leave_behind_is_killed_and_named(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text(TESTS)
    (tmp_path / "test_b.py").write_text(ANOTHER)
    options = ["-p", "tests.leftovers", "-p", "no:cacheprovider", "-p", "no:xdist"]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 failed, 2 passed, 1 error" in ran.stdout
    said = ran.stdout.split("Killed what these tests had left behind:\n")[1]
    for name, test in (("orphan", "one"), ("child", "two")):
        number = int((tmp_path / name).read_text())
        assert f"{number} sleep 600 of test_a.py::test_{test} (call)" in said
        until(partial(is_over, number))
    assert "ERROR test_a.py::test_two" in ran.stdout
    assert "shared" not in said
