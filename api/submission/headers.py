"""The headers of a request for work: its owner, and the key under which it may be repeated."""

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
        description="The owner of the work: letters, digits and . _ @ + -. Shares of the workers"
        f" and limits depend on it. It is `{LOCAL}` when absent. There are no accounts yet, so a"
        " service that listens beyond its own machine ignores it.",
    ),
]


async def _owner(here: Here, user: _User = None) -> str:
    return user if user is not None and here.trusts_users else LOCAL


Owner = Annotated[str, Depends(_owner)]

IDEMPOTENCY_KEY = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
PRECISION = "Heddle-Precision"

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias=IDEMPOTENCY_KEY,
        min_length=1,
        max_length=255,
        pattern="^[ -~]*$",
        description="A name for this request that no other has, as a random UUID: 1 to 255"
        " printable ASCII characters. The same request may be sent again with the same key, and"
        " makes nothing new. A different request with the same key is refused.",
    ),
]


def idempotent_request(key: str, body: Any, **options: Any) -> IdempotentRequest:
    """A request under its key. Spaces and the order of names in its JSON make no difference."""
    return IdempotentRequest(key, digest({"body": body, "options": options}))
