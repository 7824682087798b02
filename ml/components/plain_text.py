"""Text that people wrote, made safe to show in terminals and XML."""

from __future__ import annotations

import re

#: Three groups of characters. Terminals obey the control characters C0 (but tab and line feed),
#: DEL and C1, and XML forbids them. Others change the direction or the lines of the text around
#: them. The last are surrogates and noncharacters.
_UNFIT = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069"
    "\ud800-\udfff\ufffe\uffff]"
)


def plain_text(text: str) -> str:
    """The text with U+FFFD in place of every character that is unsafe to show."""
    return _UNFIT.sub("\N{REPLACEMENT CHARACTER}", text)
