"""The command `heddle`: start a service, post experiments, follow them, fetch their results."""

from __future__ import annotations

import sys
from typing import Any

import click

from heddle.cli import (
    control,
    dataset,
    export,
    files,
    pictures,
    queue,
    results,
    show,
    submit,
    up,
    uses,
)
from heddle.cli.output.terminal import without_orders
from heddle.errors import HeddleError, SpecError

#: Statuses that ask for another request. The exit status of the command is then 2.
ASKS_FOR_ANOTHER = frozenset({400, 404, 413, 415, 422})


class _AskOtherwise(click.ClickException):
    exit_code = 2


class _Group(click.Group):
    """Turns errors into a message and an exit status: 1 it failed, 2 the request must change."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except HeddleError as error:
            ask_otherwise = isinstance(error, SpecError) or error.status in ASKS_FOR_ANOTHER
            kind = _AskOtherwise if ask_otherwise else click.ClickException
            raise kind(without_orders(str(error))) from error


@click.group(
    cls=_Group,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 done, 1 the work or the server failed, 2 the request must change.",
)
@click.version_option(package_name="heddle")
def main() -> None:
    """Train, score and picture disentangling VAEs on a Heddle server.

    HEDDLE_URL is the server, HEDDLE_KEY the key that it asks for, HEDDLE_USER the owner of what is
    posted (the login name if absent), HEDDLE_HOME the folder of `heddle up`.
    """


for module in (up, submit, show, control, dataset, export, files, pictures, queue, results, uses):
    for command in module.COMMANDS:
        main.add_command(command)

if __name__ == "__main__":
    sys.exit(main())
