"""Seconds until a worker takes hints again after its broker has failed in some way."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.record import Figure, Row, Table, parser, publish
from tests.service.hinted import KINDS, Hinted, hinted


def after_death(here: Hinted, *, away: float = 0) -> float:
    here.kill()
    time.sleep(away)
    here.restart()
    return here.seconds_until_taken(120)


def after_death_while_busy(here: Hinted) -> float:
    with here.busy():
        here.kill()
        here.restart()
    return here.seconds_until_taken(120)


def after_hanging(here: Hinted, *, seconds: float) -> float:
    here.stop()
    time.sleep(seconds)
    here.go_on()
    return here.seconds_until_taken(120)


def after_silence(kind: str) -> float:
    with tempfile.TemporaryDirectory() as folder, hinted(Path(folder), kind, wired=True) as here:
        here.fall_silent()
        return here.seconds_until_taken(120)


FAILURES: dict[str, Callable[[Hinted], float]] = {
    "killed": after_death,
    "again": after_death,
    "in a task": after_death_while_busy,
    "away 5 s": partial(after_death, away=5),
    "away 60 s": partial(after_death, away=60),
    "hung 30 s": partial(after_hanging, seconds=30),
}
QUICK = ("killed", "again", "in a task", "away 5 s")


def main() -> None:
    arguments = parser(__doc__).parse_args()
    rows = []
    for kind in KINDS:
        figures: dict[str, Figure | str | None] = {}
        with tempfile.TemporaryDirectory() as folder, hinted(Path(folder), kind) as here:
            for failure in QUICK if arguments.quick else FAILURES:
                figures[failure] = Figure([FAILURES[failure](here)], "s", "less")
        if not arguments.quick:
            figures["silent"] = Figure([after_silence(kind)], "s", "less")
        rows.append(Row([kind], figures))
        print(kind, *figures.values(), flush=True)
    command = "python -m benchmarks.broker_restarts" + " --quick" * arguments.quick
    publish([Table("broker_restarts", command, ["broker"], rows)], arguments)


if __name__ == "__main__":
    main()
