"""A small chaos: the whole is `./run chaos`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.chaos.fire import Plan
from tests.chaos.hammer import hammer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]


def test_nothing_is_lost_doubled_or_wrong(tmp_path: Path) -> None:
    plan = Plan(
        runs=4,
        again=1,
        files=1,
        steps=200,
        kills=3,
        redis=1,
        api=1,
        postgres=1,
        trainers=2,
        evaluators=1,
    )
    outlived = hammer(tmp_path / "home", plan, print)
    assert sum(outlived.harms.values()) >= 5
    assert (outlived.lost, outlived.twice, outlived.verdict.wrong) == (0, 0, 0)
    assert (outlived.verdict.gone, outlived.left) == (0, 0)
    # What is judged was there to be judged.
    assert outlived.verdict.done == plan.jobs
