"""Options that many commands take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def url_option(command: Command) -> Command:
    return click.option(
        "--url", metavar="URL", help="The server; HEDDLE_URL, or the one of `heddle up`, if absent."
    )(command)


def json_option(command: Command) -> Command:
    return click.option(
        "--json", "as_json", is_flag=True, help="Print the API's document, unchanged."
    )(command)
