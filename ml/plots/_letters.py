"""The letters of pictures: how wide a text is, before it is drawn."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import matplotlib as mpl
from PIL import ImageFont

POINTS_AN_INCH = 72
_MEASURED_AT = 100
"""Size at which widths are taken, where rounding to pixels does not matter."""


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """matplotlib's own letters, so many pixels high."""
    return ImageFont.truetype(Path(mpl.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", size)


def inches(text: str, points: float) -> float:
    """Width of a line of text in this size."""
    return font(_MEASURED_AT).getlength(text) / _MEASURED_AT * points / POINTS_AN_INCH


def fitting(text: str, width: float, size: int) -> str:
    """The text, or as much of its beginning as this width in pixels has room for."""
    letters = font(size)
    if letters.getlength(text) <= width:
        return text
    while text and letters.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"
