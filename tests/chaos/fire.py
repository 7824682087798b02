"""What is done to programs while they work."""

from __future__ import annotations

import json
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from tests.chaos.mined_worker import PLACES
from tests.chaos.programs import Programs, send

LEASE_SECONDS = 3.0
STALLED_SECONDS = 180.0
"""Nothing has been done for so long: what is left is lost."""


@dataclass(frozen=True)
class Plan:
    """How much work, and how much harm."""

    runs: int = 80
    """Each trained by one job and evaluated by another."""
    again: int = 20
    """Of these, how many are evaluated once more, by other metrics."""
    files: int = 20
    """Files of codes that are sent to be evaluated."""
    steps: int = 240
    kills: int = 50
    redis: int = 2
    api: int = 2
    postgres: int = 2
    postgresql: bool = True
    trainers: int = 2
    evaluators: int = 2
    seed: int = 0

    @property
    def jobs(self) -> int:
        return 2 * self.runs + self.again + self.files

    @property
    def workers(self) -> dict[str, int]:
        """How many there are of each queue that is under fire."""
        return {"train": self.trainers, "evaluate": self.evaluators}

    def harms(self) -> list[tuple[int, str]]:
        """What is done, each after so many jobs."""
        chance = random.Random(self.seed)
        kinds = ["kill worker", *(f"mine: {place}" for place in PLACES), "stop past lease"]
        names = chance.choices(kinds, [6, *[1] * len(PLACES), 2], k=self.kills)
        names += ["wipe redis"] * self.redis + ["kill api"] * self.api
        names += ["restart postgres"] * (self.postgres if self.postgresql else 0)
        chance.shuffle(names)
        last = max(1, int(0.9 * self.jobs))
        return sorted((chance.randrange(last), name) for name in names)


class Work(Protocol):
    """The jobs that are done by programs under fire."""

    def post(self) -> None:
        """Ask for all of them; called in a thread."""

    def look(self) -> int:
        """How many are done; called often."""

    def harmed(self, process: int) -> None:
        """A process is about to be harmed, or was."""


def burn(programs: Programs, work: Work, plan: Plan, say: Callable[[str], None]) -> Counter[str]:
    """Have the work done and do all harm meanwhile; returns when no more is done.

    Use it from the main thread. Returns how often what was done.
    """
    return _Fire(programs, work, plan, say).burn()


class _Fire:
    def __init__(
        self, programs: Programs, work: Work, plan: Plan, say: Callable[[str], None]
    ) -> None:
        self._programs, self._work, self._plan, self._say = programs, work, plan, say
        self._chance = random.Random(f"{plan.seed} fire")
        self._stopped: list[tuple[float, int]] = []
        self._did: Counter[str] = Counter()

    def burn(self) -> Counter[str]:
        posting = threading.Thread(target=self._work.post, daemon=True)
        posting.start()
        harms = self._plan.harms()
        done, moved = 0, time.monotonic()
        while done < self._plan.jobs or posting.is_alive() or self._stopped:
            self._programs.check()
            self._wake()
            self._collect_trodden()
            if (now_done := self._work.look()) > done:
                done, moved = now_done, time.monotonic()
                self._say(f"{done} of {self._plan.jobs} jobs done")
            while harms and harms[0][0] <= done:
                self._do(harms.pop(0)[1])
            if time.monotonic() - moved > STALLED_SECONDS:
                self._say("Nothing moves any more")
                break
            time.sleep(0.1)
        return self._did

    def _do(self, name: str) -> None:
        programs = self._programs
        self._say(name)
        if name == "kill worker":
            self._kill_worker()
        elif name == "stop past lease":
            self._stop_worker()
        elif name == "wipe redis":
            programs.wipe_redis()
        elif name == "kill api":
            programs.kill("api")
        elif name == "restart postgres":
            programs.restart_postgres()
        else:
            (programs.mines / name.removeprefix("mine: ")).touch()
            return
        self._did[name] += 1

    def _worker(self) -> tuple[str, int | None]:
        """A worker of runs or evaluations, and its process."""
        names = sorted([*self._programs.names("train"), *self._programs.names("evaluate")])
        name = self._chance.choice(names)
        return name, self._programs.pool_process(name)

    def _kill_worker(self) -> None:
        name, process = self._worker()
        if process is not None:
            self._work.harmed(process)
            send(process, signal.SIGKILL)
        # Now and then with its parent.
        if process is None or self._chance.random() < 0.3:
            self._programs.kill(name)

    def _stop_worker(self) -> None:
        _, process = self._worker()
        if process is not None and send(process, signal.SIGSTOP):
            self._work.harmed(process)
            self._stopped.append((time.monotonic() + LEASE_SECONDS + 2, process))

    def _wake(self) -> None:
        now = time.monotonic()
        for at, process in self._stopped:
            if at <= now:
                send(process, signal.SIGCONT)
        self._stopped = [(at, process) for at, process in self._stopped if at > now]

    def _collect_trodden(self) -> None:
        for word in self._programs.mines.glob("trodden-*"):
            told: dict[str, Any] = json.loads(word.read_text())
            self._work.harmed(told["process"])
            self._did[f"mine: {told['place']}"] += 1
            word.unlink()
