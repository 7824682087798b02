"""Text that people wrote, made fit to be shown."""

from __future__ import annotations

import re

#: C0 without tab and line feed, DEL and C1, which terminals obey and XML forbids; what turns the
#: direction of the text around it; halves of letters, and what is no letter.
_UNFIT = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069"
    "\ud800-\udfff\ufffe\uffff]"
)


def plain_text(text: str) -> str:
    """The text with a replacement character for each that is not to be shown but obeyed."""
    return _UNFIT.sub("\N{REPLACEMENT CHARACTER}", text)
