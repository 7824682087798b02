"""Text of any origin, made fit for every database."""

from __future__ import annotations

import re
from typing import Any

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_INSTEAD = "\ufffd"


def storable(value: Any) -> Any:
    """A JSON value in which U+FFFD replaces each NUL and each lone surrogate.

    PostgreSQL can hold neither. Clients that send them are refused. But the report of a worker,
    such as an error of somebody's library, must not be lost for one character.
    """
    if isinstance(value, str):
        return _UNSTORABLE.sub(_INSTEAD, value)
    if isinstance(value, dict):
        return {storable(key): storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable(item) for item in value]
    return value
