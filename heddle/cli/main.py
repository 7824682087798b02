"""The command `heddle`: start a service, post experiments, follow them, fetch what they left."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from heddle.cli import control as cli_control
from heddle.cli import export as cli_export
from heddle.cli import files as cli_files
from heddle.cli import pictures as cli_pictures
from heddle.cli import queue as cli_queue
from heddle.cli import results as cli_results
from heddle.cli import uses as cli_uses
from heddle.cli.options import json_option, url_option
from heddle.cli.output.terminal import console, without_orders
from heddle.cli.output.work import advice_list, experiment_table, score_table
from heddle.cli.work import (
    echo_content,
    find_runs,
    find_work,
    kind_of,
    show_plan,
    show_work,
    watch_until_ended,
)
from heddle.client.address import address
from heddle.client.client import connect
from heddle.client.spec import override, read_spec
from heddle.errors import HeddleError, SpecError
from heddle.service.service import DEFAULT_PORT, how_to_end, serve

#: Answers that ask for another request, so that the exit status says "usage".
ASKS_FOR_ANOTHER = frozenset({400, 404, 413, 415, 422})


class _AskOtherwise(click.ClickException):
    exit_code = 2


class _Group(click.Group):
    """Turns what went wrong into a line and an exit status: 1 it failed, 2 ask otherwise."""

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
    epilog="Exit status: 0 done, 1 the work or the server failed, 2 ask otherwise.",
)
@click.version_option(package_name="heddle")
def main() -> None:
    """Train, score and picture disentangling VAEs on a Heddle server.

    HEDDLE_URL names the server, HEDDLE_KEY the key it asks for, HEDDLE_USER who asks (the login
    name if absent), HEDDLE_HOME the folder of `heddle up`.
    """


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to serve on.")
@click.option("--port", default=DEFAULT_PORT, show_default=True, type=click.IntRange(1, 65535))
@click.option(
    "--home",
    default=".heddle",
    show_default=True,
    envvar="HEDDLE_HOME",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder of the database, the files and the logs.",
)
@click.option(
    "--train-processes",
    default=1,
    show_default=True,
    envvar="HEDDLE_TRAIN_PROCESSES",
    type=click.IntRange(1, 64),
    help="How many runs to train at once, each by a process of its own.",
)
@json_option
def up(host: str, port: int, home: Path, train_processes: int, as_json: bool) -> None:
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
        say=lambda line: click.echo(line, err=True),
        when_ready=when_ready,
    )


@main.command()
@click.argument("spec", metavar="FILE|-", type=click.Path(dir_okay=False, allow_dash=True))
@click.option("--watch", "watched", is_flag=True, help="Stay until it has ended.")
@click.option(
    "--set",
    "overrides",
    metavar="PATH=VALUE",
    multiple=True,
    help="Change the spec, as in --set objective.beta=8; may be repeated.",
)
@click.option(
    "--key",
    metavar="TEXT",
    help="Name this request: posted again with its key, it makes no second experiment.",
)
@click.option(
    "--priority", type=click.IntRange(-10, 10), default=0, help="Higher goes first; 0 if absent."
)
@click.option("--dry-run", is_flag=True, help="Only show what would be done, and what it takes.")
@json_option
@url_option
def submit(
    spec: str,
    watched: bool,
    overrides: tuple[str, ...],
    key: str | None,
    priority: int,
    dry_run: bool,
    as_json: bool,
    url: str | None,
) -> None:
    """Post the spec in a YAML or JSON file, or from standard input.

    Example: heddle submit sweep.yaml --set training.steps=5000 --watch
    """
    if dry_run and (watched or key is not None):
        raise click.UsageError("--dry-run posts nothing, so it takes neither --watch nor --key")
    document = read_spec(sys.stdin.read() if spec == "-" else Path(spec))
    for assignment in overrides:
        override(document, assignment)
    with connect(url) as client:
        if dry_run:
            show_plan(client.plan(document, priority=priority), as_json)
            return
        experiment = client.submit(document, idempotency_key=key, priority=priority)
        if not as_json:
            console().print(experiment_table(experiment, {}))
        if watched:
            watch_until_ended(client, experiment, as_json)
        elif as_json:
            click.echo(experiment.served)


@main.command()
@click.argument("experiment_id", metavar="EXPERIMENT")
@json_option
@url_option
def watch(experiment_id: str, as_json: bool, url: str | None) -> None:
    """Follow an experiment until it has ended; Ctrl-C leaves it going.

    Example: heddle watch exp_01jd3k
    """
    kind_of(experiment_id, "experiment")
    with connect(url) as client:
        watch_until_ended(client, client.experiment(experiment_id), as_json)


@main.command()
@click.argument("work_id", metavar="ID")
@json_option
@url_option
def show(work_id: str, as_json: bool, url: str | None) -> None:
    """Show an experiment with its runs, a run, or an evaluation: states, errors, what to do.

    Example: heddle show run_01jd3k
    """
    with connect(url) as client:
        show_work(client, find_work(client, work_id), as_json)


@main.command()
@click.argument("work_id", metavar="ID")
@json_option
@url_option
def scores(work_id: str, as_json: bool, url: str | None) -> None:
    """Show the scores of a run on the server, of each run of an experiment, or of an evaluation.

    (A file of codes that you have is scored by `heddle score`.)

    Example: heddle scores exp_01jd3k
    """
    with connect(url) as client:
        if kind_of(work_id) == "evaluation":
            if as_json:
                echo_content(client.get(address("evaluations", work_id, "scores")))
            else:
                show_work(client, client.evaluation(work_id), as_json)
            return
        for run in find_runs(client, work_id):
            if as_json:
                echo_content(client.get(f"/v1/runs/{run.id}/scores"))
            else:
                console().print(score_table(run.label, run.scores()), advice_list(run.advice()))


@main.command()
@click.argument("work_id", metavar="ID")
@click.option(
    "--to",
    "folder",
    required=True,
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where to; the runs of an experiment get a folder each.",
)
@json_option
@url_option
def download(work_id: str, folder: Path, as_json: bool, url: str | None) -> None:
    """Fetch the files of a run or of each run of an experiment, checked by their digests.

    What is there already is not fetched again, and an interrupted download goes on.

    Example: heddle download run_01jd3k --to results
    """
    with connect(url) as client:
        for run in find_runs(client, work_id):
            paths = run.download(folder / run.id if work_id.startswith("exp_") else folder)
            if as_json:
                echo_content(client.get(f"/v1/runs/{run.id}/artifacts"))
            else:
                click.echo("".join(f"{path}\n" for path in paths), nl=False)


for command in (
    *cli_queue.COMMANDS,
    *cli_results.COMMANDS,
    *cli_pictures.COMMANDS,
    *cli_control.COMMANDS,
    *cli_files.COMMANDS,
    *cli_export.COMMANDS,
    *cli_uses.COMMANDS,
):
    main.add_command(command)

if __name__ == "__main__":
    sys.exit(main())
