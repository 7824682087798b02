"""The context of the routes: the stores, the hints to workers, the caches and the lanes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Annotated

from anyio import to_thread
from fastapi import Depends, Request

from api.state.answers import Answers
from api.state.event_hub import EventHub
from api.state.held_open import Held
from api.state.hints import Hints
from api.state.lanes import Lanes, lanes
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
    """The objects that all requests of one application share."""

    database: Database
    objects: ObjectFolder
    hints: Hints
    settings: ApiSettings
    store: Settings
    hub: EventHub
    trusts_users: bool
    """Whether the header Heddle-User is believed: all requests come from this machine."""
    trained: TrainedModels
    held: Held
    """The count of the requests that are held open."""
    readiness: LastLook[Readiness]
    """Whether the service can serve requests."""

    queues: Queues
    lanes: Lanes = field(default_factory=lanes)
    """The places for heavy work."""
    pictures: LruCache[str, bytes] = field(default_factory=lambda: LruCache(PICTURE_BYTES, len))
    """Pictures that were drawn on demand, by the keys of their `Drawing`."""
    answers: Answers = field(default_factory=Answers)
    """Tables of many runs."""

    @property
    def limits(self) -> Limits:
        """The limits on the work of one owner."""
        return Limits(self.store.most_queued, self.store.short_seconds)

    def read(self, sha256: str) -> bytes:
        """The content of a file in the object folder, after a check of its digest.

        Raises:
            ObjectGone: the file is missing.
            DamagedObject: its content has changed.
            StorageAway: the object folder is away.
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


# With this scope a request leaves its place before the answer is sent. A client may be slow to take
# the answer.
in_drawing_lane = Depends(_drawing, scope="function")
in_studies_lane = Depends(_studies, scope="function")

TrainedInLane = Annotated[Trained, Depends(_trained, scope="function")]
"""The trained run of a path. The request holds a place in the lane that draws and decodes. Among a
route's parameters it comes after the body, since a client may be slow to send the body."""
