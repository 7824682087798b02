"""The command that serves."""

from __future__ import annotations

from pathlib import Path

import click

from heddle.cli.options import home_option, json_option
from heddle.service.service import DEFAULT_PORT, how_to_end, serve


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to serve on.")
@click.option("--port", default=DEFAULT_PORT, show_default=True, type=click.IntRange(1, 65535))
@home_option
@click.option(
    "--train-processes",
    default=1,
    show_default=True,
    envvar="HEDDLE_TRAIN_PROCESSES",
    type=click.IntRange(1, 64),
    help="How many runs to train at once, each by a process of its own.",
)
@click.option(
    "--api-processes",
    default=1,
    show_default=True,
    envvar="HEDDLE_API_PROCESSES",
    type=click.IntRange(1, 64),
    help="How many processes answer requests (Linux). More than one pays with PostgreSQL.",
)
@json_option
def up(
    host: str, port: int, home: Path, train_processes: int, api_processes: int, as_json: bool
) -> None:
    """Serve a home folder until Ctrl-C.

    Example: heddle up --port 8001 --home /data/heddle
    """

    def when_ready(url: str, answer: bytes) -> None:
        if as_json:
            click.echo(answer)
        else:
            click.echo(f"Serving {home} at {url} (logs in {home / 'logs'}).", nl=False)
            click.echo(f" {how_to_end()} ends it.")

    serve(
        home,
        host=host,
        port=port,
        train_processes=train_processes,
        api_processes=api_processes,
        say=lambda line: click.echo(line, err=True),
        when_ready=when_ready,
    )


COMMANDS = (up,)
