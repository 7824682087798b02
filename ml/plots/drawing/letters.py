"""The letters of pictures: numbers as text, and the width of a text before it is drawn."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from PIL import ImageFont

from ml.components.plain_text import plain_text

POINTS_AN_INCH = 72
_MEASURED_AT = 100
"""Size at which widths are measured, so large that rounding to pixels does not matter."""


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """matplotlib's own font in this size in pixels."""
    import matplotlib as mpl

    return ImageFont.truetype(Path(mpl.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", size)


def inches(text: str, points: float) -> float:
    """Width of a text in inches, in letters of this many points: that of its longest line."""
    lines = plain_text(text).splitlines() or [""]
    widest = max(font(_MEASURED_AT).getlength(line) for line in lines)
    return widest / _MEASURED_AT * points / POINTS_AN_INCH


def fitting(text: str, width: float, size: int) -> str:
    """The text in one line, or as much of its beginning as fits this width in pixels."""
    letters, text = font(size), plain_text(" ".join(text.splitlines()))
    if letters.getlength(text) <= width:
        return text
    while text and letters.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


def alike(values: np.ndarray) -> list[str]:
    """Numbers as text, all with as many decimals as the largest needs to have two digits.

    -0.003, 0.62 and 2.2 become 0.0, 0.6 and 2.2.
    """
    largest = float(np.abs(values).max(initial=0.0))
    if not 1e-4 <= largest < 1e6:
        return [f"{value:.1e}" if value else "0" for value in values.tolist()]
    decimals = max(0, 1 - int(np.floor(np.log10(largest))))
    # Adding zero turns a negative zero into a positive one.
    rounded = [round(value, decimals) + 0.0 for value in values.astype(float).tolist()]
    return [f"{value:.{decimals}f}".replace("-", "\N{MINUS SIGN}") for value in rounded]
