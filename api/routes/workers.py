"""The processes that work: where, on what, and at what."""

from __future__ import annotations

from fastapi import APIRouter

from api.documents.base import Page
from api.documents.workers import WorkerDocument, worker_document
from api.state.context import Here
from store.workers.presence import present

router = APIRouter(prefix="/v1/workers", tags=["queue"])


@router.get("", operation_id="list_workers")
def index(here: Here) -> Page[WorkerDocument]:
    """The workers that are there. One that has said nothing for a minute is gone."""
    return Page(items=[worker_document(one) for one in present(here.database)])
