"""Printing of text from a server or a file, without characters that a terminal would obey."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import click
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

#: Output to a pipe has no width to keep to, and ids must not be cut.
PIPE_WIDTH = 200

#: C0 without tab and line feed, DEL and C1; characters that change the direction of text;
#: surrogates, which cannot be written.
_OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def without_orders(text: str) -> str:
    """The text without characters that a terminal obeys and does not show."""
    return _OBEYED.sub("", text)


class Terminal(Console):
    """A console on which text cannot set colours or move the cursor, by markup or otherwise."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Render anything to segments. Control segments are rich's own, and stay as they are."""
        for segment in super().render(renderable, options):
            if segment.control or not _OBEYED.search(segment.text):
                yield segment
            else:
                yield Segment(without_orders(segment.text), segment.style)


def console() -> Console:
    """The console for results."""
    screen = Terminal()
    return screen if screen.is_terminal else Terminal(width=PIPE_WIDTH)


def side_console() -> Console:
    """The console for bars and notes, which go to the standard error."""
    return Terminal(stderr=True)


def print_document(
    document: bytes | Mapping[str, Any], as_json: bool, draw: Callable[[], RenderableType]
) -> None:
    """Print a document as JSON, byte for byte if a server sent it, or as drawn for people."""
    if not as_json:
        console().print(draw())
    elif isinstance(document, bytes):
        click.echo(document)
    else:
        click.echo(json.dumps(document))


def say(message: Any, *, err: bool = False, nl: bool = True) -> None:
    """Print a line that may hold other people's text."""
    click.echo(without_orders(str(message)), err=err, nl=nl)
