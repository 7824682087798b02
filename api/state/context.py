"""What the routes work with: the stores, the way to the workers, and places in the lanes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Annotated

from anyio import to_thread
from fastapi import Depends, Request

from api.state.event_hub import EventHub
from api.state.held_open import Held
from api.state.hints import Hints
from api.state.lanes import Lanes
from api.state.lru import LruCache
from api.state.queues import Queues
from api.state.readiness import LastLook, Readiness
from api.state.settings import ApiSettings
from api.state.trained import Trained, TrainedModels
from store.database.connection import Database
from store.experiments.submit import Limits
from store.files.objects import ObjectFolder, open_recorded
from store.settings import Settings

PICTURE_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Context:
    """One for each application."""

    database: Database
    objects: ObjectFolder
    hints: Hints
    settings: ApiSettings
    store: Settings
    hub: EventHub
    trusts_users: bool
    """Whether requests come from this machine alone, and say themselves who sends them."""
    trained: TrainedModels
    held: Held
    """Counts who waits for something to happen."""
    readiness: LastLook[Readiness]
    """Whether it can work."""

    queues: Queues
    lanes: Lanes = field(default_factory=Lanes)
    """Places for heavy work."""
    pictures: LruCache[str, bytes] = field(default_factory=lambda: LruCache(PICTURE_BYTES, len))
    """Files that were drawn on demand, by what they were drawn from."""

    @property
    def limits(self) -> Limits:
        """What one owner may ask for."""
        return Limits(self.store.most_queued, self.store.short_seconds)

    def read(self, sha256: str) -> bytes:
        """A file's content, found to be what was put there.

        Raises:
            ObjectGone, DamagedObject, StorageAway: it is not, or is not there.
        """
        with open_recorded(self.database, self.objects, sha256) as file:
            return file.read()


async def _context(request: Request) -> Context:
    context = request.app.state.context
    assert isinstance(context, Context)
    return context


Here = Annotated[Context, Depends(_context)]


async def _drawing(here: Here) -> AsyncIterator[None]:
    async with here.lanes.drawing.place():
        yield


async def _studies(here: Here) -> AsyncIterator[None]:
    async with here.lanes.studies.place():
        yield


async def _trained(id: str, here: Here) -> AsyncIterator[Trained]:
    async with here.lanes.drawing.place():
        yield await to_thread.run_sync(here.trained.of, id)


# Left when the answer is there, and before it is sent: a client may be slow to take it.
in_drawing_lane = Depends(_drawing, scope="function")
in_studies_lane = Depends(_studies, scope="function")

TrainedInLane = Annotated[Trained, Depends(_trained, scope="function")]
"""The trained run of a path, while this request has a place in the lane that draws and decodes. It
goes after the body among a route's parameters: a client may be slow to send that, too."""
