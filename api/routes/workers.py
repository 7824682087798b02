"""The worker processes: their machines, their devices and their jobs."""

from __future__ import annotations

from fastapi import APIRouter

from api.documents.base import Page
from api.documents.workers import WorkerDocument, worker_document
from api.state.context import Here
from store.workers.presence import present

router = APIRouter(prefix="/v1/workers", tags=["queue"])


@router.get("", operation_id="list_workers")
def index(here: Here) -> Page[WorkerDocument]:
    """List the workers. One that has not reported for a minute is left out."""
    return Page(items=[worker_document(one) for one in present(here.database)])
