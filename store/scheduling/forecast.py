"""When waiting jobs will start: the rules of `store.scheduling.fair_share`, played ahead."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import NamedTuple

from store.scheduling.fair_share import FairShare, Held, Rules, Share, Waiting, accrued, faded

MOST_EVENTS = 2000
"""So many moments are played ahead. For a job that has not started by then, the start is estimated
from the work before it."""
MOST_LOOKS = 4_000_000
"""So many times at most a group of waiting jobs is looked at, for the same reason: thousands of
owners would otherwise be looked at at each of these moments."""

LOOKS_A_SLICE = 8


class Ahead(NamedTuple):
    """A job that waits or is running."""

    id: str
    owner: str
    priority: int
    short: bool
    created_at: float
    #: How long it will take a worker; None if no job like it was ever measured.
    seconds: float | None
    #: Jobs of one key are done side by side, at most `together` of them.
    key: str | None = None
    together: int = 1


_BY_AGE = attrgetter("created_at", "id")


class Start(NamedTuple):
    """When a job starts."""

    #: 1 is next.
    position: int
    #: Counted from now; None if it is not known.
    seconds: float | None


@dataclass
class _Worker:
    name: str
    jobs: list[Ahead]
    since: float
    ends: float


class _Line:
    """The waiting jobs of one group, by age as a whole and within each key."""

    def __init__(self) -> None:
        # Each job is a list of one, which is emptied when the job is taken: it stands in up to two
        # queues.
        self._all: deque[list[Ahead]] = deque()
        self._by_key: dict[str, deque[list[Ahead]]] = {}
        self._count = 0
        self._waiting: Waiting | None = None

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Ahead]:
        return (job for entry in self._all for job in entry)

    def append(self, job: Ahead) -> None:
        entry = [job]
        self._all.append(entry)
        self._count_on(1)
        if job.key is not None:
            self._by_key.setdefault(job.key, deque()).append(entry)

    def put_first(self, job: Ahead) -> None:
        entry = [job]
        self._all.appendleft(entry)
        self._count_on(1)
        if job.key is not None:
            self._by_key.setdefault(job.key, deque()).appendleft(entry)

    def first(self) -> Ahead:
        while not self._all[0]:
            self._all.popleft()
        return self._all[0][0]

    def take_first(self) -> Ahead:
        job = self.first()
        self._all.popleft().clear()
        self._count_on(-1)
        return job

    def take_like(self, key: str, most: int) -> list[Ahead]:
        """Take the first jobs of a key, at most `most`."""
        taken: list[Ahead] = []
        like = self._by_key.get(key, deque())
        while like and len(taken) < most:
            entry = like.popleft()
            taken += entry
            self._count_on(-len(entry))
            entry.clear()
        return taken

    def waiting(self) -> Waiting:
        """The group as the fair share sees it; it must hold a job."""
        if self._waiting is None:
            job = self.first()
            self._waiting = Waiting(job.owner, job.priority, job.short, job.created_at, self._count)
        return self._waiting

    def _count_on(self, more: int) -> None:
        self._count += more
        self._waiting = None


def forecast(
    now: FairShare, waiting: Iterable[Ahead], held: Mapping[str, Sequence[Ahead]], idle: int
) -> dict[str, Start]:
    """When each waiting job will start, if nobody posts anything more.

    Args:
        now: the fair share as it is.
        waiting: the jobs that wait.
        held: for each busy worker its jobs, with the seconds that they will still take.
        idle: how many workers have no job.
    """
    return _Play(now, waiting, held, idle).starts()


class _Play:
    def __init__(
        self,
        now: FairShare,
        waiting: Iterable[Ahead],
        held: Mapping[str, Sequence[Ahead]],
        idle: int,
    ) -> None:
        self._rules: Rules = now.rules
        self._began = self._now = now.now
        self._shares = {(one.owner, one.priority, one.short): one for one in now.shares}
        self._queues: dict[tuple[str, int, bool], _Line] = {}
        for job in sorted(waiting, key=_BY_AGE):
            self._line(job).append(job)
        self._held = {name: [one for one in now.held if one.worker == name] for name in held}
        self._workers = {
            name: _Worker(name, list(jobs), self._since(name), self._end(jobs))
            for name, jobs in held.items()
        }
        #: Jobs that are running now. If they are preempted, nobody asks for their next start.
        self._begun = {job.id for jobs in held.values() for job in jobs}
        self._free = [f"idle {number}" for number in range(idle)]
        self._starts: dict[str, Start] = {}
        self._looks = 0
        #: How many waiting jobs have not started yet.
        self._left = sum(
            job.id not in self._begun for line in self._queues.values() for job in line
        )

    def _line(self, job: Ahead) -> _Line:
        key = job.owner, job.priority, job.short
        found = self._queues.get(key)
        if found is None:
            found = self._queues[key] = _Line()
        return found

    def _since(self, name: str) -> float:
        return max((one.since for one in self._held[name]), default=self._now)

    def _end(self, jobs: Sequence[Ahead]) -> float:
        known = [job.seconds for job in jobs if job.seconds is not None]
        return self._now + max(known) if len(known) == len(jobs) else math.inf

    def starts(self) -> dict[str, Start]:
        for _ in range(MOST_EVENTS):
            self._take_jobs()
            if not self._left:
                return self._starts
            moment = self._next_moment()
            if math.isinf(moment) or self._looks > MOST_LOOKS:
                break
            self._now = moment
            self._let_end()
            self._preempt()
        self._estimate_the_rest()
        return self._starts

    def _asked_for(self) -> list[Ahead]:
        """Waiting jobs that have not started yet, group by group in order."""
        order = [(one.owner, one.priority, one.short) for one in self._fair_share().order()]
        # Groups whose owner may run no more jobs at the moment come last.
        return [
            job
            for group in dict.fromkeys([*order, *self._queues])
            for job in self._queues[group]
            if job.id not in self._starts and job.id not in self._begun
        ]

    def _estimate_the_rest(self) -> None:
        """Number the jobs that have not started, and estimate their starts.

        A start is estimated from the work before it, and unknown if that work was never measured.
        """
        seconds: float | None = self._now - self._began
        if any(math.isinf(worker.ends) for worker in self._workers.values()) or not self._workers:
            seconds = None
        for job in self._asked_for():
            self._note(job, seconds)
            if seconds is not None:
                took = job.seconds
                share = len(self._workers) * max(1, job.together)
                seconds = None if took is None else seconds + took / share

    def _fair_share(self) -> FairShare:
        waiting = [line.waiting() for line in self._queues.values() if line]
        self._looks += len(waiting)
        held = [one for jobs in self._held.values() for one in jobs]
        return FairShare(self._now, self._rules, waiting, held, list(self._shares.values()))

    def _take_jobs(self) -> None:
        while self._free:
            fair_share = self._fair_share()
            first = fair_share.first()
            if first is None:
                return
            self._take(self._free.pop(), first, fair_share)

    def _take(self, name: str, first: Waiting, fair_share: FairShare) -> None:
        head = self._queue(first).take_first()
        jobs = [head]
        if head.key is not None and head.together > 1:
            for group in fair_share.order():
                jobs += self._queue(group).take_like(head.key, head.together - len(jobs))
                if len(jobs) >= head.together:
                    break
        for job in jobs:
            self._note(job, self._now - self._began)
            key = (job.owner, job.priority, job.short)
            before = self._shares.get(key, Share(*key, 0.0, self._now, self._now))
            self._shares[key] = replace(before, claimed_at=self._now)
        self._workers[name] = _Worker(name, jobs, self._now, self._end(jobs))
        self._held[name] = [
            Held(name, job.owner, job.priority, job.short, self._now, len(jobs)) for job in jobs
        ]

    def _queue(self, group: Waiting) -> _Line:
        return self._queues[group.owner, group.priority, group.short]

    def _note(self, job: Ahead, seconds: float | None) -> None:
        if job.id not in self._starts and job.id not in self._begun:
            self._starts[job.id] = Start(len(self._starts) + 1, seconds)
            self._left -= 1

    def _next_moment(self) -> float:
        """The next moment at which a worker ends or may be preempted, or another look is due."""
        moments = [worker.ends for worker in self._workers.values()]
        if any(not math.isinf(moment) for moment in moments):
            # The order changes meanwhile: patience runs out, and owners are served.
            moments.append(self._now + self._rules.slice_seconds / LOOKS_A_SLICE)
        for worker in self._workers.values():
            for slice_seconds in (self._rules.slice_seconds, self._rules.short_slice_seconds):
                if (moment := worker.since + slice_seconds) > self._now:
                    moments.append(moment)
        return min((moment for moment in moments if moment > self._now), default=math.inf)

    def _let_end(self) -> None:
        for worker in [one for one in self._workers.values() if one.ends <= self._now]:
            self._put_down(worker)

    def _preempt(self) -> None:
        soonest = self._rules.slice_seconds
        if any(line and short for (_, _, short), line in self._queues.items()):
            # Only a short job stops a worker any sooner (`FairShare.preempted`).
            soonest = min(soonest, self._rules.short_slice_seconds)
        if not any(self._now - worker.since >= soonest for worker in self._workers.values()):
            return
        for name in sorted(self._fair_share().preempted(len(self._free))):
            worker = self._workers[name]
            for job in self._put_down(worker):
                left = None if math.isinf(worker.ends) else worker.ends - self._now
                self._line(job).put_first(job._replace(seconds=left))

    def _put_down(self, worker: _Worker) -> list[Ahead]:
        """Free a worker and charge the owners of its jobs. Returns these jobs."""
        del self._workers[worker.name]
        held = self._held.pop(worker.name)
        for one in held:
            key = (one.owner, one.priority, one.short)
            before = self._shares.get(key, Share(*key, 0.0, self._now, one.since))
            seconds = faded(before.seconds, self._now - before.at)
            seconds += accrued(self._now - one.since) / one.together
            self._shares[key] = replace(before, seconds=seconds, at=self._now)
        self._free.append(worker.name)
        return worker.jobs
