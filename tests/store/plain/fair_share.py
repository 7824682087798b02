"""The fair share by its definition, each question asked anew of all jobs."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

from store.scheduling.fair_share import Held, Rules, Share, Waiting, accrued, faded


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
        return sum(job.owner == owner for job in self.held)

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
        own = [one for one in self.waiting if one.owner == group.owner]
        if not any(one.short for one in own):
            return False
        if any(job.short and job.owner == group.owner for job in self.held):
            return False
        owners = {one.owner for one in self.waiting} | {one.owner for one in self.held}
        mean = math.fsum(self.served(owner) for owner in owners) / len(owners)
        if self.served(group.owner) > mean + self.rules.short_seconds:
            return False
        patience = self.rules.patience_seconds
        late = [one for one in own if not one.short and self._unserved(one) >= patience]
        return group in late if late else group.short

    def _levels(self) -> dict[Waiting, int]:
        """The priority that each group goes with."""
        priorities = {one.priority for one in self.waiting} | {one.priority for one in self.held}
        present = sorted(priorities)
        levels: dict[Waiting, int] = {}
        for group in self.waiting:
            risen = int(self._unserved(group) / self.rules.patience_seconds)
            place = present.index(group.priority) + max(0, risen)
            levels[group] = present[min(place, len(present) - 1)]
        return levels

    def _unserved(self, group: Waiting) -> float:
        """For how long jobs of a group wait of which none was taken."""
        taken = (
            share.claimed_at
            for share in self.shares
            if (share.owner, share.priority, share.short)
            == (group.owner, group.priority, group.short)
        )
        return self.now - max([group.oldest, *taken])

    def preempted(self, idle: int) -> set[str]:
        """The workers that are to stop at a checkpoint, when so many others have nothing to do.

        No more than there are jobs to take their places.
        """
        fair_share, going = self, set[str]()
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
