"""What the routes work with: the stores and the way to the workers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from anyio import CapacityLimiter
from fastapi import Depends, Request

from api.hints import Hints
from api.settings import ApiSettings
from store.database import Database
from store.objects import ObjectFolder


@dataclass(frozen=True)
class Context:
    """One for each application."""

    database: Database
    objects: ObjectFolder
    hints: Hints
    settings: ApiSettings
    checking: CapacityLimiter
    """Holds whoever checks an upload's arrays, which takes memory."""


def _context(request: Request) -> Context:
    context = request.app.state.context
    assert isinstance(context, Context)
    return context


Here = Annotated[Context, Depends(_context)]
