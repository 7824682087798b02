"""Text of whatever origin as every database can hold it."""

from __future__ import annotations

import re
from typing import Any

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_INSTEAD = "\ufffd"


def storable(value: Any) -> Any:
    """A JSON value with U+FFFD for each NUL and each half of a letter in its text.

    PostgreSQL holds neither. What clients send with them is refused; what a worker has to tell, an
    error of somebody's library among it, must not be lost for one letter.
    """
    if isinstance(value, str):
        return _UNSTORABLE.sub(_INSTEAD, value)
    if isinstance(value, dict):
        return {storable(key): storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable(item) for item in value]
    return value
