"""A worker, and what it does."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from api.documents.base import Document, moment
from store.states import JobKind
from store.workers.presence import PresentWorker


class WorkersJob(Document):
    """Work that a worker has."""

    run: str | None
    """Null for the evaluation of a file."""
    evaluation: str | None
    """Null for training."""
    since: datetime | None


class WorkerDocument(Document):
    """A process that takes work of one kind."""

    name: str
    kind: JobKind
    host: str
    pid: int
    device: str
    device_model: str
    memory_bytes: int | None
    """Of its device: the GPU's, or the machine's for a CPU; null where the driver does not tell."""
    memory_free_bytes: int | None
    state: Literal["idle", "working", "waiting"]
    """waiting: it takes nothing, and `trouble` says why."""
    trouble: str | None
    jobs: list[WorkersJob]
    """What it does; several are done side by side."""
    started_at: datetime
    seen_at: datetime
    """When it last said that it is there."""


def worker_document(one: PresentWorker) -> WorkerDocument:
    """A worker as it is shown."""
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
