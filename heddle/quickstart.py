"""A first experiment from nothing: `python -m heddle.quickstart [--keep]`.

Serves a home folder, trains one small model on dSprites, shows its scores, fetches its latent
traversal, and ends everything it started; with `--keep` it serves on until Ctrl-C.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path
from types import FrameType

import click

from heddle.children import Command, end, start
from heddle.client import Client, Experiment, connect
from heddle.errors import HeddleError, ServiceError, tail
from heddle.live import LiveProgress
from heddle.service import DEFAULT_PORT, READY_SECONDS, STOP_SECONDS
from heddle.tables import advice_list, console, score_table

HOST = "127.0.0.1"


@click.command()
@click.option("--keep", is_flag=True, help="Serve on when the experiment is done, until Ctrl-C.")
@click.option(
    "--home",
    default=".heddle",
    show_default=True,
    envvar="HEDDLE_HOME",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder of the database, the files and the logs.",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help=f"The port to serve on; {DEFAULT_PORT} if absent, or a free one when that is taken.",
)
def main(keep: bool, home: Path, port: int | None) -> None:
    """Train a small model on dSprites, score it, and picture its latents."""
    signal.signal(signal.SIGTERM, _leave)
    started = time.monotonic()
    try:
        with _serving(home, port or _free_port()) as url, connect(url) as client:
            _run(client, home)
            click.echo(f"Done in {time.monotonic() - started:.0f} s.")
            if keep:
                click.echo(f"Serving on at {url}. Ctrl-C ends it.")
                signal.pause()
    except HeddleError as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        # With --keep this is how it ends well.
        sys.exit(0 if keep else 130)


def _run(client: Client, home: Path) -> None:
    spec = files("heddle").joinpath("quickstart.yaml").read_text(encoding="utf-8")
    experiment = client.submit(spec)
    click.echo(f"Experiment {experiment.id}: {client.url}/v1/experiments/{experiment.id}")
    with LiveProgress(client, console()) as live:
        experiment.wait(progress=live)
    _show(experiment, client, home / "quickstart")


def _show(experiment: Experiment, client: Client, folder: Path) -> None:
    for run in experiment.runs():
        console().print(score_table(run.label, run.scores()), advice_list(run.advice()))
        picture = run.traversal(folder / "traversal.png")
        click.echo(f"Latent traversal: {picture}")
        click.echo(f"                  {client.url}/v1/runs/{run.id}/traversal.png")


@contextmanager
def _serving(home: Path, port: int) -> Iterator[str]:
    """`heddle up` as a child that ends with this process, however that ends."""
    url = f"http://{HOST}:{port}"
    log = home / "logs" / "up.log"
    log.unlink(missing_ok=True)
    argv = [sys.executable, "-m", "heddle", "up", "--host", HOST, "--port", str(port)]
    click.echo(f"Starting a service in {home}")
    process = start(Command("up", [*argv, "--home", str(home)], log))
    try:
        _until_ready(process, url, log)
        click.echo(f"Serving at {url}")
        yield url
    finally:
        click.echo("Ending the service")
        # A second Ctrl-C must not leave this half done: the service has its own patience.
        before = signal.signal(signal.SIGINT, lambda *_: process.send_signal(signal.SIGINT))
        end(process, STOP_SECONDS)
        signal.signal(signal.SIGINT, before)


def _until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    give_up = time.monotonic() + READY_SECONDS
    with connect(url) as client:
        while True:
            if process.poll() is not None:
                raise ServiceError("The service could not start", detail="\n" + tail(log))
            with suppress(HeddleError):
                client.get("/readyz")
                return
            if time.monotonic() > give_up:
                raise ServiceError("The service is not ready", detail="\n" + tail(log))
            time.sleep(0.1)


def _free_port() -> int:
    """The port everybody expects when it is free, else any."""
    for wanted in (DEFAULT_PORT, 0):
        with suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, wanted))
            return int(probe.getsockname()[1])
    raise ServiceError(f"No port of {HOST} can be bound")


def _leave(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
