"""Turns in the lanes, as dependencies of routes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from anyio import to_thread
from fastapi import Depends

from api.state.context import Here
from api.state.trained import Trained


async def _drawing(here: Here) -> AsyncIterator[None]:
    async with here.lanes.drawing.turn():
        yield


async def _studies(here: Here) -> AsyncIterator[None]:
    async with here.lanes.studies.turn():
        yield


async def _trained(id: str, here: Here) -> AsyncIterator[Trained]:
    async with here.lanes.drawing.turn():
        yield await to_thread.run_sync(here.trained.of, id)


# Over when the answer is there, and before it is sent: a client may be slow to take it.
drawing_turn = Depends(_drawing, scope="function")
studies_turn = Depends(_studies, scope="function")

TrainedInTurn = Annotated[Trained, Depends(_trained, scope="function")]
"""The trained run of a path, while it is this request's turn to draw and decode. It goes after the
body among a route's parameters: a client may be slow to send that, too."""
