"""Whose turn it is: pure functions of the waiting jobs, the running jobs and past service.

Jobs are ordered by priority. Within a priority, short jobs go first if their owner's share allows
it. Then comes the owner who was served least lately, and then the oldest job.

- **Service** is counted in seconds of workers, for each owner. A second is worth half for every
  `HALF_LIFE_SECONDS` that have passed. Jobs that a worker does side by side share its seconds.
- **Patience**: a group holds an owner's jobs of one priority, either the short or the long ones.
  A group that has waited for `patience_seconds`, without any job of it being taken, goes with the
  next higher priority that a waiting or running job has. After twice as long it goes with the
  priority above that, and so on up to the highest. So priorities starve nobody.
- **Short** jobs go first for an owner on two conditions. None of the owner's short jobs is running.
  And the owner was served no more than the mean over all owners with work, plus the time of a
  short job. So nobody waits hours to see whether a spec works, and a stream of short jobs takes no
  more than its owner's share. It also leaves its owner's long jobs a turn now and then.
- **Preemption**: a worker that has trained for `slice_seconds` stops at a checkpoint when a job of
  a higher priority, or of an owner who was served less, has its turn. When that job is a short one
  that goes first, the worker stops after `short_slice_seconds` already. Training goes on from the
  checkpoint later with the same bits.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

HALF_LIFE_SECONDS = 6 * 3600.0


@dataclass(frozen=True, slots=True)
class Rules:
    """What an operator may choose; `store.settings` says what each field means."""

    slice_seconds: float = 1200.0
    short_seconds: float = 300.0
    short_slice_seconds: float = 60.0
    patience_seconds: float = 3600.0
    most_running: int | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """Waiting jobs of one group; the oldest is taken first."""

    owner: str
    priority: int
    short: bool
    #: When the oldest was queued.
    oldest: float
    count: int


@dataclass(frozen=True, slots=True)
class Held:
    """A running job."""

    worker: str
    owner: str
    priority: int
    short: bool
    since: float
    #: How many jobs its worker does side by side.
    together: int = 1


@dataclass(frozen=True, slots=True)
class Share:
    """How much service the jobs of one group had, without the jobs that are still running."""

    owner: str
    priority: int
    short: bool
    #: What the service was worth at the moment `at`.
    seconds: float
    at: float
    #: When a job of the group was last taken.
    claimed_at: float


def faded(seconds: float, age: float) -> float:
    """What seconds of service are worth at this age."""
    return float(seconds * 2.0 ** (-max(0.0, age) / HALF_LIFE_SECONDS))


def accrued(elapsed: float) -> float:
    """What service is worth that began this many seconds ago and goes on: `faded`, integrated."""
    return HALF_LIFE_SECONDS / math.log(2) * (1.0 - faded(1.0, elapsed))


@dataclass(frozen=True)
class FairShare:
    """The state of all jobs of one kind, and whose turn it therefore is."""

    now: float
    rules: Rules
    waiting: Sequence[Waiting]
    held: Sequence[Held] = ()
    shares: Sequence[Share] = ()
    #: The service of each owner, where the state that this one follows from has it already.
    _served: dict[str, float] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        if self._served:
            return
        for share in self.shares:
            self._serve(share.owner, faded(share.seconds, self.now - share.at))
        for job in self.held:
            self._serve(job.owner, accrued(self.now - job.since) / job.together)

    def _serve(self, owner: str, seconds: float) -> None:
        self._served[owner] = self._served.get(owner, 0.0) + seconds

    def served(self, owner: str) -> float:
        """What an owner's service is worth now, in seconds."""
        return self._served.get(owner, 0.0)

    def running(self, owner: str) -> int:
        """How many of an owner's jobs are running."""
        return self._running[owner]

    # These values do not depend on the group, so they are computed once: a forecast asks for the
    # order thousands of times.

    @cached_property
    def _running(self) -> Counter[str]:
        return Counter(job.owner for job in self.held)

    @cached_property
    def _mean_served(self) -> float:
        """The mean service of the owners who have waiting or running jobs."""
        owners = {one.owner for one in self.waiting} | {one.owner for one in self.held}
        # The sum must not depend on the set's order: a forecast is the same in every process.
        return math.fsum(self.served(owner) for owner in owners) / len(owners)

    @cached_property
    def _may_go_first(self) -> set[str]:
        """Owners of waiting short jobs that may go first by the conditions of the module."""
        most = self._mean_served + self.rules.short_seconds if self.waiting else 0.0
        worked_on = {job.owner for job in self.held if job.short}
        short = {one.owner for one in self.waiting if one.short}
        return {owner for owner in short - worked_on if self.served(owner) <= most}

    @cached_property
    def _late(self) -> dict[str, list[Waiting]]:
        """The groups of long jobs that have waited for too long, by owner."""
        late: dict[str, list[Waiting]] = {}
        for one in self.waiting:
            if not one.short and self._unserved(one) >= self.rules.patience_seconds:
                late.setdefault(one.owner, []).append(one)
        return late

    @cached_property
    def _claimed_at(self) -> dict[tuple[str, int, bool], float]:
        """When a job of each group was last taken."""
        taken: dict[tuple[str, int, bool], float] = {}
        for share in self.shares:
            group = share.owner, share.priority, share.short
            taken[group] = max(share.claimed_at, taken.get(group, -math.inf))
        return taken

    def room(self, owner: str) -> float:
        """How many more of an owner's jobs may run at once."""
        most = self.rules.most_running
        return math.inf if most is None else most - self.running(owner)

    def order(self) -> list[Waiting]:
        """The groups whose jobs may be taken; the next one comes first."""
        return sorted(self._takable(), key=self._turn)

    def first(self) -> Waiting | None:
        """The first of `order`, without putting the others in order."""
        return min(self._takable(), key=self._turn, default=None)

    def _takable(self) -> list[Waiting]:
        most = self.rules.most_running
        return [
            group
            for group in self.waiting
            if group.count > 0 and (most is None or self.running(group.owner) < most)
        ]

    def _turn(self, group: Waiting) -> tuple[int, bool, float, float, str]:
        return (
            -self._level(group),
            not self.goes_first(group),
            self.served(group.owner),
            group.oldest,
            group.owner,
        )

    def goes_first(self, group: Waiting) -> bool:
        """Whether a group goes before the others of its priority.

        A group of short jobs does if its owner had no more than their share. If long jobs of that
        owner have waited for too long meanwhile, they go first instead of the short ones.
        """
        if group.owner not in self._may_go_first:
            return False
        late = self._late.get(group.owner)
        return group in late if late else group.short

    @cached_property
    def _present(self) -> list[int]:
        """The priorities of waiting and running jobs, in rising order."""
        return sorted({one.priority for one in self.waiting} | {one.priority for one in self.held})

    def _level(self, group: Waiting) -> int:
        """The priority that a group goes with, raised by patience."""
        present = self._present
        if group.priority == present[-1]:
            return group.priority
        risen = int(self._unserved(group) / self.rules.patience_seconds)
        place = present.index(group.priority) + max(0, risen)
        return present[min(place, len(present) - 1)]

    def _unserved(self, group: Waiting) -> float:
        """How many seconds a group has waited since one of its jobs was last taken."""
        taken = self._claimed_at.get((group.owner, group.priority, group.short), -math.inf)
        return self.now - max(group.oldest, taken)

    def preempted(self, idle: int) -> set[str]:
        """The workers that are to stop at a checkpoint, while `idle` others have nothing to do.

        No more workers stop than there are jobs to take their places.
        """
        fair_share, going = self, set[str]()
        soonest = self.rules.slice_seconds
        if any(one.short for one in self.waiting):
            # Only where short jobs wait does anything go first (`goes_first`).
            soonest = min(soonest, self.rules.short_slice_seconds)
        if not any(self.now - job.since >= soonest for job in self.held):
            return going
        for place in range(idle + len({job.worker for job in self.held})):
            first = fair_share.first()
            if first is None:
                break
            if place < idle:
                fair_share = fair_share.taking(first, f"idle {place}")
                continue
            stays = [job for job in self.held if job.worker not in going]
            worker = fair_share.least_deserving(first, stays)
            if worker is None:
                break
            going.add(worker)
            fair_share = fair_share.without(worker).taking(first, f"instead of {worker}")
        return going

    def least_deserving(self, first: Waiting, held: Collection[Held]) -> str | None:
        """The worker to preempt for a group; None if none may be preempted for it."""
        level, lane = self._level(first), self.goes_first(first)
        by_worker: dict[str, list[Held]] = {}
        for job in held:
            by_worker.setdefault(job.worker, []).append(job)
        found = [
            (max(job.priority for job in jobs), -self._least(jobs), self._since(jobs), worker)
            for worker, jobs in by_worker.items()
            if self._precedes(first, level, lane, jobs)
        ]
        return min(found)[-1] if found else None

    def _precedes(self, first: Waiting, level: int, lane: bool, jobs: Sequence[Held]) -> bool:
        held_for = self.now - self._since(jobs)
        priority = max(job.priority for job in jobs)
        brief = any(job.short for job in jobs) and held_for < self.rules.short_seconds
        if lane and not brief and level >= priority and held_for >= self.rules.short_slice_seconds:
            return True
        if held_for < self.rules.slice_seconds:
            return False
        return level > priority or (
            level == priority and self.served(first.owner) < self._least(jobs)
        )

    def _least(self, jobs: Iterable[Held]) -> float:
        return min(self.served(job.owner) for job in jobs)

    @staticmethod
    def _since(jobs: Iterable[Held]) -> float:
        return max(job.since for job in jobs)

    def taking(self, group: Waiting, worker: str) -> FairShare:
        """The state after a worker has taken a job of a group."""
        waiting = [
            replace(one, count=one.count - 1) if one == group else one for one in self.waiting
        ]
        job = Held(worker, group.owner, group.priority, group.short, self.now)
        # A job that begins has had no service yet.
        return FairShare(
            self.now, self.rules, waiting, (*self.held, job), self.shares, self._served
        )

    def without(self, worker: str) -> FairShare:
        """The state after a worker has put its jobs back; its service still counts."""
        gone = [job for job in self.held if job.worker == worker]
        shares = [
            Share(
                job.owner,
                job.priority,
                job.short,
                accrued(self.now - job.since) / job.together,
                self.now,
                job.since,
            )
            for job in gone
        ]
        held = [job for job in self.held if job.worker != worker]
        return FairShare(self.now, self.rules, self.waiting, held, (*self.shares, *shares))
