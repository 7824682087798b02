"""Workers, and the jobs that they have."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from api.documents.base import Document, moment
from store.states import JobKind
from store.workers.presence import PresentWorker


class WorkersJob(Document):
    """A job that a worker has."""

    run: str | None
    """It is null for the evaluation of a file."""
    evaluation: str | None
    """It is null for training."""
    since: datetime | None


class WorkerDocument(Document):
    """A process that takes jobs of one kind."""

    name: str
    kind: JobKind
    host: str
    pid: int
    device: str
    device_model: str
    memory_bytes: int | None
    """The GPU's memory, or the machine's for a CPU. It is null where the driver does not report
    it."""
    memory_free_bytes: int | None
    precisions: dict[str, Any] | None
    """Of a worker that trains: images a second of its device in float32 and in bfloat16, how many
    seconds that was measured for, and which precision `auto` would be here. It is null until that
    is measured."""
    state: Literal["idle", "working", "waiting"]
    """A waiting worker takes no jobs, and `trouble` says why."""
    trouble: str | None
    jobs: list[WorkersJob]
    """The jobs it works on. Several jobs run side by side."""
    started_at: datetime
    seen_at: datetime
    """The time of its last report."""


def worker_document(one: PresentWorker) -> WorkerDocument:
    """The document of a worker."""
    said = one.said
    return WorkerDocument(
        **{name: getattr(said, name) for name in said.__slots__},
        state="working" if one.jobs else "waiting" if one.trouble else "idle",
        trouble=one.trouble,
        jobs=[
            WorkersJob(
                run=job.run_id,
                evaluation=job.evaluation_id,
                since=None if job.since is None else moment(job.since),
            )
            for job in one.jobs
        ],
        started_at=moment(one.started_at),
        seen_at=moment(one.seen_at),
    )
