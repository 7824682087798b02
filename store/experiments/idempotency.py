"""Idempotent requests: a repeated request is answered with the experiment that it made before."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select

from store.database.tables import Experiment
from store.errors import KeyOfAnother


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """The key that its sender gave a request, and a hash of what it asks for."""

    key: str
    #: Hash of everything that it asks for.
    sha256: str


_MADE = select(Experiment.id, Experiment.request_sha256).where(
    Experiment.owner == bindparam("owner"), Experiment.idempotency_key == bindparam("key")
)


def look_up(connection: Connection, owner: str | None, request: IdempotentRequest) -> str | None:
    """The id of the experiment that this owner's request has made; None for a new request.

    Raises:
        KeyOfAnother: if the owner has sent another request under this key.
    """
    found = connection.execute(_MADE, {"owner": owner, "key": request.key}).one_or_none()
    if found is None:
        return None
    if found.request_sha256 != request.sha256:
        raise KeyOfAnother(request.key, found.id)
    id: str = found.id
    return id
