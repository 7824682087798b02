"""Values as text that is the same for the same value."""

from __future__ import annotations

import json
from typing import Any


def canonical_json(value: Any) -> str:
    """One text for one value: sorted keys, no spaces, shortest floats that read back the same.

    Raises:
        ValueError: for NaN or an infinity.
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False
    )
