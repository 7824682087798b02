"""The forecast by its definition: who waits is looked up anew at every moment."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from store.scheduling.fair_share import Held, Rules, Share, Waiting, accrued, faded
from store.scheduling.forecast import LOOKS_A_SLICE, MOST_EVENTS, Ahead, Start, _Worker
from tests.store.plain.fair_share import FairShare


def forecast(
    now: FairShare, waiting: Iterable[Ahead], held: Mapping[str, Sequence[Ahead]], idle: int
) -> dict[str, Start]:
    """When each waiting job will start, if nobody posts anything.

    Args:
        now: how things stand.
        waiting: the jobs that wait.
        held: the workers that have jobs, and these, with the seconds that they will still take.
        idle: how many workers have none.
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
        self._queues: dict[tuple[str, int, bool], deque[Ahead]] = {}
        for job in sorted(waiting, key=lambda job: (job.created_at, job.id)):
            key = (job.owner, job.priority, job.short)
            self._queues.setdefault(key, deque()).append(job)
        self._held = {name: [one for one in now.held if one.worker == name] for name in held}
        self._workers = {
            name: _Worker(name, list(jobs), self._since(name), self._end(jobs))
            for name, jobs in held.items()
        }
        #: Those that have started before, and whose next start nobody asks for.
        self._begun = {job.id for jobs in held.values() for job in jobs}
        self._free = [f"idle {number}" for number in range(idle)]
        self._starts: dict[str, Start] = {}

    def _since(self, name: str) -> float:
        return max((one.since for one in self._held[name]), default=self._now)

    def _end(self, jobs: Sequence[Ahead]) -> float:
        known = [job.seconds for job in jobs if job.seconds is not None]
        return self._now + max(known) if len(known) == len(jobs) else math.inf

    def starts(self) -> dict[str, Start]:
        for _ in range(MOST_EVENTS):
            self._take_jobs()
            if not self._asked_for():
                return self._starts
            moment = self._next_moment()
            if math.isinf(moment):
                break
            self._now = moment
            self._let_end()
            self._preempt()
        self._estimate_the_rest()
        return self._starts

    def _asked_for(self) -> list[Ahead]:
        """Waiting jobs that have not started yet, group by group in order."""
        groups = [self._queue(group) for group in self._fair_share().order()]
        # Those of owners who may have no more at the moment come last.
        groups += [queue for queue in self._queues.values() if queue not in groups]
        return [
            job
            for queue in groups
            for job in queue
            if job.id not in self._starts and job.id not in self._begun
        ]

    def _estimate_the_rest(self) -> None:
        """Count on with what has not begun: its start, where known, by the work before it."""
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
        waiting = [
            Waiting(owner, priority, short, queue[0].created_at, len(queue))
            for (owner, priority, short), queue in self._queues.items()
            if queue
        ]
        held = [one for jobs in self._held.values() for one in jobs]
        return FairShare(self._now, self._rules, waiting, held, list(self._shares.values()))

    def _take_jobs(self) -> None:
        while self._free:
            order = self._fair_share().order()
            if not order:
                return
            self._take(self._free.pop(), order)

    def _take(self, name: str, order: Sequence[Waiting]) -> None:
        head = self._queue(order[0]).popleft()
        jobs = [head]
        for group in order:
            queue = self._queue(group)
            if head.key is None or len(jobs) >= head.together:
                break
            for job in [job for job in queue if job.key == head.key][: head.together - len(jobs)]:
                queue.remove(job)
                jobs.append(job)
        for job in jobs:
            self._note(job, self._now - self._began)
            key = (job.owner, job.priority, job.short)
            before = self._shares.get(key, Share(*key, 0.0, self._now, self._now))
            self._shares[key] = replace(before, claimed_at=self._now)
        self._workers[name] = _Worker(name, jobs, self._now, self._end(jobs))
        self._held[name] = [
            Held(name, job.owner, job.priority, job.short, self._now, len(jobs)) for job in jobs
        ]

    def _queue(self, group: Waiting) -> deque[Ahead]:
        return self._queues[group.owner, group.priority, group.short]

    def _note(self, job: Ahead, seconds: float | None) -> None:
        if job.id not in self._starts and job.id not in self._begun:
            self._starts[job.id] = Start(len(self._starts) + 1, seconds)

    def _next_moment(self) -> float:
        """When a worker ends, or may be preempted, or it is time to look again."""
        moments = [worker.ends for worker in self._workers.values()]
        if any(not math.isinf(moment) for moment in moments):
            # Meanwhile patience runs out, and who was served less has had more.
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
        for name in sorted(self._fair_share().preempted(len(self._free))):
            worker = self._workers[name]
            for job in self._put_down(worker):
                left = None if math.isinf(worker.ends) else worker.ends - self._now
                queue = self._queues.setdefault((job.owner, job.priority, job.short), deque())
                queue.appendleft(job._replace(seconds=left))

    def _put_down(self, worker: _Worker) -> list[Ahead]:
        """Free a worker, and charge those whose jobs it had. Returns these jobs."""
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
