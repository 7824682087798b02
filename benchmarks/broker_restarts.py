"""Seconds until a worker takes hints again after its broker has failed in some way."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

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


def main() -> None:
    print("| broker | killed | again | in a task | away 5 s | away 60 s | hung 30 s | silent |")
    print("| --- |" + " --- |" * 7)
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as folder, hinted(Path(folder), kind) as here:
            seconds = [
                after_death(here),
                after_death(here),
                after_death_while_busy(here),
                after_death(here, away=5),
                after_death(here, away=60),
                after_hanging(here, seconds=30),
            ]
        seconds.append(after_silence(kind))
        print(f"| {kind} |", " | ".join(f"{waited:.1f}" for waited in seconds), "|", flush=True)


if __name__ == "__main__":
    main()
