"""Arguments and options that several commands take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def all_of(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Several options as one; `--help` lists them in this order."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def json_option_that(help: str) -> Callable[[Command], Command]:
    """`--json` of a command that makes its own document; see `print_document`."""
    return click.option("--json", "as_json", is_flag=True, help=help)


def json_option(command: Command) -> Command:
    return json_option_that("Print the API's document, unchanged.")(command)


def url_option(command: Command) -> Command:
    return click.option(
        "--url", metavar="URL", help="The server; HEDDLE_URL, or the one of `heddle up`, if absent."
    )(command)


def home_option(command: Command) -> Command:
    return click.option(
        "--home",
        default=".heddle",
        show_default=True,
        envvar="HEDDLE_HOME",
        type=click.Path(file_okay=False, path_type=Path),
        help="The folder of the database, the files and the logs.",
    )(command)


def work_argument(command: Command) -> Command:
    return click.argument("work_id", metavar="ID")(command)


#: The argument and options of a command that changes or shows work.
work_options = all_of(work_argument, json_option, url_option)


def run_argument(command: Command) -> Command:
    return click.argument("run_id", metavar="RUN")(command)


def experiment_argument(command: Command) -> Command:
    return click.argument("experiment_id", metavar="EXPERIMENT")(command)


def file_out_option(
    help: str, *, metavar: str | None = "FILE", default: str | None = None
) -> Callable[[Command], Command]:
    """`--out`: the name of a file to write."""
    return click.option(
        "--out",
        metavar=metavar,
        default=default,
        show_default=default is not None,
        type=click.Path(dir_okay=False, path_type=Path),
        help=help,
    )
