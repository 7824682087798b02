"""Ids that sort by the time they were made, so that lists can be paged by id alone."""

from __future__ import annotations

import re
import secrets
import threading
import time
from typing import Literal

Kind = Literal["exp", "run", "job", "eval", "data"]

# Crockford's base 32 has no i, l, o or u, which are misread or spell words.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_FORM = re.compile(rf"(?:exp|run|job|eval|data)_[0-7][{_ALPHABET}]{{25}}")
_RANDOM_BITS = 80

_lock = threading.Lock()
_last = 0


def new_id(kind: Kind) -> str:
    """A new id such as `run_01jd…`: 48 bits of milliseconds, then 80 random bits.

    Ids made by one process rise strictly, so runs sort as they were listed. Within a millisecond,
    or when the clock steps back, the next number is taken instead of a random one.
    """
    global _last
    milliseconds = time.time_ns() // 1_000_000
    number = (milliseconds << _RANDOM_BITS) | secrets.randbits(_RANDOM_BITS)
    with _lock:
        if number >> _RANDOM_BITS <= _last >> _RANDOM_BITS:
            number = _last + 1
        _last = number
    return f"{kind}_{_base32(number)}"


def is_id(text: str, kind: Kind) -> bool:
    """Whether the text has the form of an id of this kind. The thing itself need not exist."""
    return _FORM.fullmatch(text) is not None and text.startswith(f"{kind}_")


def _base32(number: int) -> str:
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))
