"""Whose work a request asks for."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Header

from api.state.context import Here
from store.jobs.demand import LOCAL

HEDDLE_USER = "Heddle-User"

_User = Annotated[
    str | None,
    Header(
        alias=HEDDLE_USER,
        min_length=1,
        max_length=64,
        pattern="^[A-Za-z0-9._@+-]*$",
        description="Who asks: letters, digits and . _ @ + -. Shares of the workers and limits"
        f" go by it; `{LOCAL}` when absent. There are no accounts yet, so a service that listens"
        " beyond its own machine does not believe it.",
    ),
]


async def _owner(here: Here, user: _User = None) -> str:
    return user if user is not None and here.trusts_users else LOCAL


Owner = Annotated[str, Depends(_owner)]
