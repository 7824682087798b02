"""The header that makes a POST safe to repeat."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Header

from ml.spec.identity import digest
from store.experiments.idempotency import IdempotentRequest

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
