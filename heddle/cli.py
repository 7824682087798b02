"""The command `heddle`: start a service, post experiments, follow them, fetch what they left."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import httpx

from heddle.client import Client, Experiment, ExperimentFailed, Run, connect
from heddle.errors import HeddleError, SpecError
from heddle.live import LiveProgress
from heddle.service import DEFAULT_PORT, serve
from heddle.spec import override, read_spec
from heddle.tables import console, experiment_table, run_table, score_table

Command = TypeVar("Command", bound=Callable[..., Any])

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
            raise kind(str(error)) from error


def _url_option(command: Command) -> Command:
    return click.option(
        "--url", metavar="URL", help="The server; HEDDLE_URL, or the one of `heddle up`, if absent."
    )(command)


def _json_option(command: Command) -> Command:
    return click.option(
        "--json", "as_json", is_flag=True, help="Print the API's document, unchanged."
    )(command)


@click.group(
    cls=_Group,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 done, 1 the work or the server failed, 2 ask otherwise.",
)
@click.version_option(package_name="heddle")
def main() -> None:
    """Train, score and picture disentangling VAEs on a Heddle server.

    HEDDLE_URL names the server, HEDDLE_KEY the key it asks for, HEDDLE_HOME the folder of
    `heddle up`.
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
@_json_option
def up(host: str, port: int, home: Path, as_json: bool) -> None:
    """Serve a home folder until Ctrl-C.

    Example: heddle up --port 8001 --home /data/heddle
    """

    def when_ready(url: str, answer: bytes) -> None:
        if as_json:
            click.echo(answer)
        else:
            click.echo(f"Serving {home} at {url} (logs in {home / 'logs'}). Ctrl-C ends it.")

    serve(
        home,
        host=host,
        port=port,
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
@_json_option
@_url_option
def submit(
    spec: str, watched: bool, overrides: tuple[str, ...], as_json: bool, url: str | None
) -> None:
    """Post the spec in a YAML or JSON file, or from standard input.

    Example: heddle submit sweep.yaml --set training.steps=5000 --watch
    """
    document = read_spec(sys.stdin.read() if spec == "-" else Path(spec))
    for assignment in overrides:
        override(document, assignment)
    with connect(url) as client:
        experiment = client.submit(document)
        if not as_json:
            console().print(experiment_table(experiment, {}))
        if watched:
            _watch(client, experiment, as_json)
        elif as_json:
            click.echo(experiment.served)


@main.command()
@click.argument("experiment_id", metavar="EXPERIMENT")
@_json_option
@_url_option
def watch(experiment_id: str, as_json: bool, url: str | None) -> None:
    """Follow an experiment until it has ended; Ctrl-C leaves it going.

    Example: heddle watch exp_01jd3k
    """
    _kind_of(experiment_id, "experiment")
    with connect(url) as client:
        _watch(client, client.experiment(experiment_id), as_json)


@main.command()
@click.argument("work_id", metavar="ID")
@_json_option
@_url_option
def show(work_id: str, as_json: bool, url: str | None) -> None:
    """Show an experiment with its runs, or a run: states, errors, and what to do about them.

    Example: heddle show run_01jd3k
    """
    with connect(url) as client:
        _print(client, _work(client, work_id), as_json)


@main.command()
@click.argument("work_id", metavar="ID")
@_json_option
@_url_option
def scores(work_id: str, as_json: bool, url: str | None) -> None:
    """Show the scores of a run, or of each run of an experiment.

    Example: heddle scores exp_01jd3k
    """
    with connect(url) as client:
        for run in _runs(client, work_id):
            if as_json:
                _echo(client.get(f"/v1/runs/{run.id}/scores"))
            else:
                console().print(score_table(run.label, run.scores()))


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
@_json_option
@_url_option
def download(work_id: str, folder: Path, as_json: bool, url: str | None) -> None:
    """Fetch the files of a run or of each run of an experiment, checked by their digests.

    What is there already is not fetched again, and an interrupted download goes on.

    Example: heddle download run_01jd3k --to results
    """
    with connect(url) as client:
        for run in _runs(client, work_id):
            paths = run.download(folder / run.id if work_id.startswith("exp_") else folder)
            if as_json:
                _echo(client.get(f"/v1/runs/{run.id}/artifacts"))
            else:
                click.echo("".join(f"{path}\n" for path in paths), nl=False)


@main.command()
@click.argument("work_id", metavar="ID")
@_json_option
@_url_option
def cancel(work_id: str, as_json: bool, url: str | None) -> None:
    """Stop a run, or the runs of an experiment that no other wants.

    Example: heddle cancel exp_01jd3k
    """
    with connect(url) as client:
        _print(client, _work(client, work_id).cancel(), as_json)


@main.command()
@click.argument("work_id", metavar="ID")
@_json_option
@_url_option
def resume(work_id: str, as_json: bool, url: str | None) -> None:
    """Queue failed and cancelled work again, from its checkpoints.

    Example: heddle resume run_01jd3k
    """
    with connect(url) as client:
        _print(client, _work(client, work_id).resume(), as_json)


def _watch(client: Client, experiment: Experiment, as_json: bool) -> None:
    try:
        if as_json:
            experiment.wait()
        else:
            with LiveProgress(client, console()) as live:
                experiment.wait(progress=live)
    except KeyboardInterrupt:
        click.echo(f"{experiment.id} goes on; heddle watch {experiment.id} follows it.", err=True)
        raise
    except ExperimentFailed:
        if as_json:
            click.echo(experiment.served)
        raise
    if as_json:
        click.echo(experiment.served)
    else:
        click.echo(f"{experiment.id} succeeded")


def _print(client: Client, work: Experiment | Run, as_json: bool) -> None:
    if as_json:
        click.echo(work.served)
    elif isinstance(work, Run):
        console().print(run_table(work))
    else:
        failed: dict[str, Run] = {}
        if any(run.state == "failed" for run in work.runs()):
            items = client.iterate("/v1/runs", experiment=work.id, state="failed")
            failed = {item["id"]: Run(client, item) for item in items}
        console().print(experiment_table(work, failed))


def _kind_of(work_id: str, expected: str = "experiment or run") -> str:
    kinds = {"exp_": "experiment", "run_": "run"}
    kind = kinds.get(work_id[:4])
    if kind is None or kind not in expected:
        known = " or ".join(f"{p}…" for p, name in kinds.items() if name in expected)
        raise click.UsageError(f"Got the id {work_id!r}, expected {known}")
    return kind


def _work(client: Client, work_id: str) -> Experiment | Run:
    return client.run(work_id) if _kind_of(work_id) == "run" else client.experiment(work_id)


def _runs(client: Client, work_id: str) -> list[Run]:
    work = _work(client, work_id)
    return [work] if isinstance(work, Run) else work.runs()


def _echo(response: httpx.Response) -> None:
    click.echo(response.content)


if __name__ == "__main__":
    sys.exit(main())
