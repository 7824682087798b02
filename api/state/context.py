"""What the routes work with: the stores and the way to the workers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from api.state.event_hub import EventHub
from api.state.held_open import Held
from api.state.hints import Hints
from api.state.lanes import Lanes
from api.state.last_look import LastLook
from api.state.pictures import KeptPictures
from api.state.queues import Seen
from api.state.readiness import Readiness
from api.state.settings import ApiSettings
from api.state.trained import TrainedModels
from store.database.connection import Database
from store.experiments.submit import Limits
from store.files.objects import ObjectFolder
from store.settings import Settings


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

    lanes: Lanes = field(default_factory=Lanes)
    """Turns for heavy work."""

    seen: Seen = field(default_factory=Seen)
    """The queues as they were worked out last."""
    pictures: KeptPictures = field(default_factory=KeptPictures)
    """Drawn on demand."""

    @property
    def limits(self) -> Limits:
        """What one owner may ask for."""
        return Limits(self.store.most_queued, self.store.short_seconds)


async def _context(request: Request) -> Context:
    context = request.app.state.context
    assert isinstance(context, Context)
    return context


Here = Annotated[Context, Depends(_context)]
