"""The letters of pictures: numbers as text, and how wide a text is before it is drawn."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import ImageFont

from ml.components.plain_text import plain_text

POINTS_AN_INCH = 72
_MEASURED_AT = 100
"""Size at which widths are taken, where rounding to pixels does not matter."""


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """matplotlib's own letters, so many pixels high."""
    return ImageFont.truetype(Path(mpl.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", size)


def inches(text: str, points: float) -> float:
    """Width of a text in this size, of the longest of its lines."""
    lines = plain_text(text).splitlines() or [""]
    widest = max(font(_MEASURED_AT).getlength(line) for line in lines)
    return widest / _MEASURED_AT * points / POINTS_AN_INCH


def fitting(text: str, width: float, size: int) -> str:
    """The text in a line, or as much of its beginning as this width in pixels has room for."""
    letters, text = font(size), plain_text(" ".join(text.splitlines()))
    if letters.getlength(text) <= width:
        return text
    while text and letters.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


def alike(values: np.ndarray) -> list[str]:
    """Numbers with as many decimals each, so that the largest has two digits at least.

    -0.003, 0.62 and 2.2 are told as 0.0, 0.6 and 2.2.
    """
    largest = float(np.abs(values).max(initial=0.0))
    if not 1e-4 <= largest < 1e6:
        return [f"{value:.1e}" if value else "0" for value in values.tolist()]
    decimals = max(0, 1 - int(np.floor(np.log10(largest))))
    # Adding zero leaves no negative one.
    rounded = [round(value, decimals) + 0.0 for value in values.astype(float).tolist()]
    return [f"{value:.{decimals}f}".replace("-", "\N{MINUS SIGN}") for value in rounded]
