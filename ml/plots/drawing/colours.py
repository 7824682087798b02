"""Colours that people with any kind of colour vision can distinguish."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.colors import Colormap


BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, YELLOW, BLACK = "#CC79A7", "#56B4E9", "#F0E442", "#000000"
GREY = "#A6A6A6"

LINES = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK)
"""Colours of lines and bars: Okabe and Ito's palette without yellow, which is faint on white."""
KINDS = (*LINES, YELLOW, GREY, "#7A4B1E")
"""Colours of dots, for up to ten kinds."""
DASHES = ("-", "--", ":")
"""Dashes that distinguish lines when the colours are used up."""


@cache
def cycle() -> Colormap:
    """A colour map for angles: its ends are the same colour, and no colour is faint on white."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list(
        "cycle", ["#0072B2", "#009E73", "#E69F00", "#B5507F", "#0072B2"]
    )


def line_style(place: int) -> dict[str, str]:
    """Colour and dashes of the line at this place among all lines."""
    return {
        "color": LINES[place % len(LINES)],
        "linestyle": DASHES[place // len(LINES) % len(DASHES)],
    }
