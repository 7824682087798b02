"""The settings by which a training worker's buffers are kept for its next step."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from heddle.service.service import KEEP_FREED

STEPS = """
import resource
def step():
    # A bytearray of zeros need not touch its pages, one of ones does.
    buffers = [b"1" * size for size in (9 << 20, 40 << 20, 100 << 20)]
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(settings: dict[str, str]) -> int:
    """Pages that the system had to give while the same buffers were made five times."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    command = [sys.executable, "-c", STEPS]
    answer = subprocess.run(command, env={**plain, **settings}, capture_output=True, check=True)
    return int(answer.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_buffers_are_given_back_and_asked_for_again_unless_they_are_kept() -> None:
    # A page has at most 2 MiB, and the buffers of five steps 745 MiB.
    assert faults({}) > 300
    assert faults(KEEP_FREED) < 100


def test_the_composed_service_keeps_them_too() -> None:
    file = Path(__file__).parents[3] / "docker-compose.yml"
    environment = yaml.safe_load(file.read_text())["services"]["train"]["environment"]
    assert {name: environment[name] for name in KEEP_FREED} == KEEP_FREED
