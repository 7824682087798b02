"""Canonical text of a value, so that equal values have equal text."""

from __future__ import annotations

import json
from typing import Any

# Made once, as `json.dumps` makes one for each call, which takes longer than a short value.
_ENCODER = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False
)


def canonical_json(value: Any) -> str:
    """JSON with sorted keys, no spaces, and the shortest floats that are read back the same.

    Raises:
        ValueError: the value has NaN or an infinity.
    """
    return _ENCODER.encode(value)
