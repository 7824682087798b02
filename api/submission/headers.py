"""What headers say of a request for work: whose it is, and under which key it may be repeated."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Header

from api.state.context import Here
from ml.spec.identity import digest
from store.experiments.idempotency import IdempotentRequest
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

IDEMPOTENCY_KEY = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias=IDEMPOTENCY_KEY,
        min_length=1,
        max_length=255,
        pattern="^[ -~]*$",
        description="A name for this request that no other has, as a random UUID: 1 to 255"
        " printable ASCII characters. With the same key the same request may be sent again, and"
        " makes nothing new. Another request under the same key is refused.",
    ),
]


def idempotent_request(key: str, body: Any, **options: Any) -> IdempotentRequest:
    """A request under its key; it is the same whatever the spaces and the order of names."""
    return IdempotentRequest(key, digest({"body": body, "options": options}))
