"""A first experiment from nothing: `python -m heddle.quickstart [--keep]`.

It serves a home folder, trains one small model on dSprites, shows its scores, fetches its latent
traversal, and ends everything that it started. With `--keep` it goes on serving until Ctrl-C.
"""

from __future__ import annotations

import signal
import sys
import time
from importlib.resources import files
from pathlib import Path
from types import FrameType

import click

from heddle.cli.options import home_option
from heddle.cli.output.live import LiveProgress
from heddle.cli.output.terminal import console, without_orders
from heddle.cli.output.work import advice_list, score_table
from heddle.client.client import Client, connect
from heddle.client.resources import Experiment
from heddle.errors import HeddleError
from heddle.service.service import DEFAULT_PORT, how_to_end
from heddle.service.serving import serving


@click.command()
@click.option("--keep", is_flag=True, help="Serve on when the experiment is done, until Ctrl-C.")
@home_option
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
        with serving(home, port) as url, connect(url) as client:
            _run(client, home)
            click.echo(f"Done in {time.monotonic() - started:.0f} s.")
            if keep:
                click.echo(f"Serving on at {url}. {how_to_end()} ends it.")
                signal.pause()
    except HeddleError as error:
        raise click.ClickException(without_orders(str(error))) from error
    except KeyboardInterrupt:
        # With --keep, Ctrl-C is the normal end.
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


def _leave(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
