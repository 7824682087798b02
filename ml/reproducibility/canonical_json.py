"""Canonical text of a value, so that equal values have equal text."""

from __future__ import annotations

import json
from typing import Any


def canonical_json(value: Any) -> str:
    """JSON with sorted keys, no spaces, and the shortest floats that are read back the same.

    Raises:
        ValueError: the value has NaN or an infinity.
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False
    )
