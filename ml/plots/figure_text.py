"""Showing a figure's text letter by letter. matplotlib would read formulas between dollars."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import Formatter, LogFormatter, NullFormatter

from ml.components.plain_text import plain_text

_POWER = re.compile(r"\^\{([-0-9.]+)\}")
_RAISED = str.maketrans("-0123456789.", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹·")


@contextmanager
def letter_by_letter(figure: Figure) -> Iterator[None]:
    """Within this context, all text of the figure, old and new, is drawn exactly as written.

    Names, tags and values come from other people and may contain dollars. Our only formulas are the
    powers of ten on logarithmic axes, which become letters, too.
    """
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_parse_math(False)
        text.set_text(plain_text(text.get_text()))
    for axes in figure.get_axes():
        for axis in (axes.xaxis, axes.yaxis):
            _with_letters(axis)
    # Ticks are only made when the figure is drawn, and so need the setting.
    with mpl.rc_context({"text.parse_math": False}):
        yield


def _with_letters(axis: Axis) -> None:
    major, minor = axis.get_major_formatter(), axis.get_minor_formatter()
    if not isinstance(major, NullFormatter | _Letters):
        axis.set_major_formatter(_Letters(major))
    if not isinstance(minor, NullFormatter | _Letters):
        axis.set_minor_formatter(_Letters(minor))


class _Letters(Formatter):
    """Writes the labels of another formatter without mathtext."""

    def __init__(self, inner: Formatter) -> None:
        self._inner = inner

    def set_axis(self, axis: Any) -> None:
        super().set_axis(axis)
        self._inner.set_axis(axis)

    def set_locs(self, locs: Any) -> None:
        self._inner.set_locs(locs)

    def __call__(self, x: float, pos: int | None = None) -> str:
        return self._letters(self._inner(x, pos))

    def format_ticks(self, values: list[float]) -> list[str]:
        return [self._letters(text) for text in self._inner.format_ticks(values)]

    def get_offset(self) -> str:
        return self._letters(self._inner.get_offset())

    def _letters(self, text: str) -> str:
        if isinstance(self._inner, LogFormatter):
            return powers(text)
        return plain_text(text)


def powers(mathtext: str) -> str:
    r"""The text of a logarithmic axis: `2×10⁻³` for `$\mathdefault{2\times10^{-3}}$`."""
    text = mathtext.removeprefix(r"$\mathdefault{").removesuffix("}$")
    text = text.replace(r"\times", "×")
    return _POWER.sub(lambda found: found[1].translate(_RAISED), text)
