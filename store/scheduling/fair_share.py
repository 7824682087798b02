"""Whose turn it is: pure functions of who waits, who is worked for, and who was served lately.

The order is: priority; then short jobs, within their owner's share; then the owner who was served
least lately; then age.

- **Served** are the seconds of workers that an owner had, each worth half for every
  `HALF_LIFE_SECONDS` that have passed. Jobs that a worker does side by side share its seconds.
- **Patience**: jobs of a group (an owner's of one priority, short or long) of which none was taken
  for `patience_seconds` go with the next higher priority among those that wait or are worked on,
  after twice as long with the one above, and so on up to the highest. So priorities starve nobody.
- **Short** jobs go first for an owner who was served no more than the mean of those who have work,
  and a short job's time on top, and of whose short jobs none is worked on. So nobody waits hours
  to see whether a spec works, and a stream of short jobs takes no more than its owner's share, and
  leaves him a turn for long ones now and then.
- **Preemption**: a worker that has trained for `slice_seconds` stops at a checkpoint when the turn
  is somebody else's: of a higher priority, or served less; and after `short_slice_seconds` when a
  short job waits that goes first. Training goes on from there later with the same bits.
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
    """What an operator may choose; the meanings are those of `store.settings`."""

    slice_seconds: float = 1200.0
    short_seconds: float = 300.0
    short_slice_seconds: float = 60.0
    patience_seconds: float = 3600.0
    most_running: int | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """Jobs of one owner and priority, all short or none, which are taken oldest first."""

    owner: str
    priority: int
    short: bool
    #: Since when the oldest is there.
    oldest: float
    count: int


@dataclass(frozen=True, slots=True)
class Held:
    """A job that a worker works on."""

    worker: str
    owner: str
    priority: int
    short: bool
    since: float
    #: How many jobs its worker does side by side.
    together: int = 1


@dataclass(frozen=True, slots=True)
class Share:
    """What workers have done for jobs of one group, those excluded that go on."""

    owner: str
    priority: int
    short: bool
    #: As they counted `at` this moment.
    seconds: float
    at: float
    #: When one was last taken.
    claimed_at: float


def faded(seconds: float, age: float) -> float:
    """What seconds of service count for when they are so old."""
    return float(seconds * 2.0 ** (-max(0.0, age) / HALF_LIFE_SECONDS))


def accrued(elapsed: float) -> float:
    """What service counts for that has gone on for so long: the integral of `faded`."""
    return HALF_LIFE_SECONDS / math.log(2) * (1.0 - faded(1.0, elapsed))


@dataclass(frozen=True)
class FairShare:
    """How things stand among the jobs of one kind, and whose turn that makes it."""

    now: float
    rules: Rules
    waiting: Sequence[Waiting]
    held: Sequence[Held] = ()
    shares: Sequence[Share] = ()
    _served: dict[str, float] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        for share in self.shares:
            self._serve(share.owner, faded(share.seconds, self.now - share.at))
        for job in self.held:
            self._serve(job.owner, accrued(self.now - job.since) / job.together)

    def _serve(self, owner: str, seconds: float) -> None:
        self._served[owner] = self._served.get(owner, 0.0) + seconds

    def served(self, owner: str) -> float:
        """Seconds of service that count for an owner now."""
        return self._served.get(owner, 0.0)

    def running(self, owner: str) -> int:
        """How many of an owner's jobs are worked on."""
        return self._running[owner]

    # What the order asks of each group is worked out once for all: a forecast asks for the order
    # thousands of times.

    @cached_property
    def _running(self) -> Counter[str]:
        return Counter(job.owner for job in self.held)

    @cached_property
    def _mean_served(self) -> float:
        """Of the owners who have work."""
        owners = {one.owner for one in self.waiting} | {one.owner for one in self.held}
        # Whatever order they come in, so that a forecast is the same in every process.
        return math.fsum(self.served(owner) for owner in owners) / len(owners)

    @cached_property
    def _may_go_first(self) -> set[str]:
        """Owners of short jobs of which none is worked on, who have had no more than others."""
        most = self._mean_served + self.rules.short_seconds if self.waiting else 0.0
        worked_on = {job.owner for job in self.held if job.short}
        short = {one.owner for one in self.waiting if one.short}
        return {owner for owner in short - worked_on if self.served(owner) <= most}

    @cached_property
    def _late(self) -> dict[str, list[Waiting]]:
        """By owner, the long jobs that have waited for too long."""
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
        """How many more may be."""
        most = self.rules.most_running
        return math.inf if most is None else most - self.running(owner)

    def order(self) -> list[Waiting]:
        """Those whose jobs may be taken, next first."""
        levels = self._levels()
        return sorted(
            (group for group in self.waiting if group.count > 0 and self.room(group.owner) > 0),
            key=lambda group: (
                -levels[group],
                not self.goes_first(group),
                self.served(group.owner),
                group.oldest,
                group.owner,
            ),
        )

    def goes_first(self, group: Waiting) -> bool:
        """Whether jobs are short and their owner has had no more than others.

        Where he has let long ones of his own wait for too long by it, one of these in their place.
        """
        if group.owner not in self._may_go_first:
            return False
        late = self._late.get(group.owner)
        return group in late if late else group.short

    def _levels(self) -> dict[Waiting, int]:
        """The priority that each group goes with."""
        priorities = {one.priority for one in self.waiting} | {one.priority for one in self.held}
        present = sorted(priorities)
        places = {priority: place for place, priority in enumerate(present)}
        levels: dict[Waiting, int] = {}
        for group in self.waiting:
            risen = int(self._unserved(group) / self.rules.patience_seconds)
            place = places[group.priority] + max(0, risen)
            levels[group] = present[min(place, len(present) - 1)]
        return levels

    def _unserved(self, group: Waiting) -> float:
        """For how long jobs of a group wait of which none was taken."""
        taken = self._claimed_at.get((group.owner, group.priority, group.short), -math.inf)
        return self.now - max(group.oldest, taken)

    def preempted(self, idle: int) -> set[str]:
        """The workers that are to stop at a checkpoint, when so many others have nothing to do.

        No more than there are jobs to take their places.
        """
        fair_share, going = self, set[str]()
        soonest = min(self.rules.slice_seconds, self.rules.short_slice_seconds)
        if not any(self.now - job.since >= soonest for job in self.held):
            return going
        for place in range(idle + len({job.worker for job in self.held})):
            order = fair_share.order()
            if not order:
                break
            first = order[0]
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
        """Of the workers that may be preempted for a group, the one to be."""
        level, lane = self._levels()[first], self.goes_first(first)
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
        """How things stand when a worker has taken a job of a group."""
        waiting = [
            replace(one, count=one.count - 1) if one == group else one for one in self.waiting
        ]
        job = Held(worker, group.owner, group.priority, group.short, self.now)
        return replace(self, waiting=waiting, held=(*self.held, job))

    def without(self, worker: str) -> FairShare:
        """How things stand when a worker has put its jobs back; what it did still counts."""
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
        return replace(self, held=held, shares=(*self.shares, *shares))
