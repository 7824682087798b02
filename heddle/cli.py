"""The command `heddle`: start a service, post experiments, follow them, fetch what they left."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
import httpx
from rich.console import Console
from rich.text import Text

from heddle import cli_queue
from heddle.client import Client, connect
from heddle.errors import HeddleError, SpecError
from heddle.live import LiveProgress
from heddle.options import Command, json_option, url_option
from heddle.service import DEFAULT_PORT, serve
from heddle.spec import assigned, override, read_spec
from heddle.tables import (
    advice_list,
    attempt_table,
    console,
    experiment_table,
    file_score_table,
    plan_table,
    run_table,
    score_table,
    size_of,
)
from heddle.work import Evaluation, Experiment, ExperimentFailed, Run

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
            click.echo(f"Serving {home} at {url} (logs in {home / 'logs'}). Ctrl-C ends it.")

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
            _show_plan(client.plan(document, priority=priority), as_json)
            return
        experiment = client.submit(document, idempotency_key=key, priority=priority)
        if not as_json:
            console().print(experiment_table(experiment, {}))
        if watched:
            _watch(client, experiment, as_json)
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
    _kind_of(experiment_id, "experiment")
    with connect(url) as client:
        _watch(client, client.experiment(experiment_id), as_json)


@main.command()
@click.argument("work_id", metavar="ID")
@json_option
@url_option
def show(work_id: str, as_json: bool, url: str | None) -> None:
    """Show an experiment with its runs, a run, or an evaluation: states, errors, what to do.

    Example: heddle show run_01jd3k
    """
    with connect(url) as client:
        _print(client, _work(client, work_id), as_json)


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
        if _kind_of(work_id) == "evaluation":
            if as_json:
                _echo(client.get(f"/v1/evaluations/{work_id}/scores"))
            else:
                _print(client, client.evaluation(work_id), as_json)
            return
        for run in _runs(client, work_id):
            if as_json:
                _echo(client.get(f"/v1/runs/{run.id}/scores"))
            else:
                console().print(score_table(run.label, run.scores()), advice_list(run.advice()))


def _file_options(command: Command) -> Command:
    """What `score` and `audit` ask of a file."""
    options = [
        click.argument("file", type=click.Path(dir_okay=False, path_type=Path)),
        click.option(
            "--codes",
            metavar="NAMES",
            default="",
            help="Columns of codes, as in 'z*' or a,b; in an npz they are z0, z1, …",
        ),
        click.option(
            "--factors",
            metavar="NAMES",
            default="",
            help="Columns of factors; by default all that are no codes.",
        ),
        click.option(
            "--factor-kinds",
            metavar="KINDS",
            help="discrete or continuous, for all, for each, or as in scale=discrete,x=continuous.",
        ),
        click.option(
            "--train-rows",
            metavar="N",
            type=click.IntRange(min=1),
            help="The first N rows fit predictors, the rest test them; by default three quarters.",
        ),
        click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0)),
        click.option("--json", "as_json", is_flag=True, help="Print it all as JSON."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@main.command()
@_file_options
@click.option(
    "--metrics",
    default="mig,sap,dci",
    show_default=True,
    metavar="NAMES",
    help="Metrics, with params as in dci:predictor=lasso:cv=5.",
)
@click.option("--quick", is_flag=True, help="Values only: no nulls, no intervals.")
@click.option("--server", is_flag=True, help="Let the server compute them; so does --url.")
@url_option
def score(
    file: Path,
    codes: str,
    factors: str,
    factor_kinds: str | None,
    train_rows: int | None,
    seed: int,
    metrics: str,
    quick: bool,
    server: bool,
    as_json: bool,
    url: str | None,
) -> None:
    """Score a FILE of codes and factors that you have, here and without a server.

    FILE is an npz with the arrays codes and factors, the codes.npz of a run, or a CSV, TSV or
    Parquet table with a row a sample. In place of a file, the id of a trained run has the server
    score it once more. (The scores that a run has are shown by `heddle scores`.)

    Example: heddle score codes.npz --metrics mig,dci:predictor=lasso
    """
    from heddle import scoring  # The other commands need not wait for torch.
    from heddle.codes_file import Choice

    choice = Choice(_names(codes), _names(factors), factor_kinds)
    asked = scoring.parse_metrics(metrics)
    spec = {"metrics": asked, "seed": seed, "train_rows": train_rows, "uncertainty": not quick}
    if file.name.startswith("run_") and not file.exists():
        of_run = {"metrics": asked, "seed": seed, "uncertainty": not quick}
        with connect(url) as client:
            found = scoring.score_run(client, file.name, of_run, _side_console())
    elif server or url:
        with connect(url) as client:
            found = scoring.score_there(client, file, spec, choice, _side_console())
    else:
        found = scoring.score_here(file, spec, choice, _side_console())
    if as_json:
        document = {"items": found, "next_cursor": None, "advice": scoring.advice_on(found)}
        click.echo(json.dumps(document))
    else:
        table = file_score_table(file.name, found, asked)
        console().print(table, advice_list(scoring.advice_on(found)))
    if any(one["error"] for one in found):
        sys.exit(1)


@main.command()
@_file_options
@click.option(
    "--quick",
    is_flag=True,
    help="No random forests, no gradient boosting; nulls and intervals where they are cheap.",
)
def audit(
    file: Path,
    codes: str,
    factors: str,
    factor_kinds: str | None,
    train_rows: int | None,
    seed: int,
    quick: bool,
    as_json: bool,
) -> None:
    """Set all scores of a FILE of codes and factors beside what public codebases print.

    It says where their number is another definition or wrong, and why. FILE is as in `heddle
    score`; no server is needed.

    Example: heddle audit codes.npz --quick
    """
    from heddle import auditing  # The other commands need not wait for torch.
    from heddle.audit_table import audit_table
    from heddle.codes_file import Choice

    document = auditing.audit_file(
        file,
        Choice(_names(codes), _names(factors), factor_kinds),
        _side_console(),
        seed=seed,
        train_rows=train_rows,
        quick=quick,
    )
    if as_json:
        click.echo(json.dumps(document))
    else:
        console().print(audit_table(document))
    if all(item["score"]["error"] for item in document["items"]):
        sys.exit(1)


def _names(given: str) -> list[str]:
    return [name.strip() for name in given.split(",") if name.strip()]


def _side_console() -> Console:
    """For bars, beside what is printed."""
    return Console(stderr=True)


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
        for run in _runs(client, work_id):
            paths = run.download(folder / run.id if work_id.startswith("exp_") else folder)
            if as_json:
                _echo(client.get(f"/v1/runs/{run.id}/artifacts"))
            else:
                click.echo("".join(f"{path}\n" for path in paths), nl=False)


@main.command()
@click.argument("work_id", metavar="ID")
@json_option
@url_option
def cancel(work_id: str, as_json: bool, url: str | None) -> None:
    """Stop a run, the runs of an experiment that no other wants, or an evaluation.

    Example: heddle cancel exp_01jd3k
    """
    with connect(url) as client:
        _print(client, _work(client, work_id).cancel(), as_json)


@main.command()
@click.argument("work_id", metavar="ID")
@json_option
@url_option
def resume(work_id: str, as_json: bool, url: str | None) -> None:
    """Queue failed and cancelled work again, from its checkpoints.

    Example: heddle resume run_01jd3k
    """
    with connect(url) as client:
        _print(client, _work(client, work_id).resume(), as_json)


@main.command()
@click.argument("work_id", metavar="ID")
@json_option
@url_option
def retry(work_id: str, as_json: bool, url: str | None) -> None:
    """Queue again what has failed of an experiment or a run; what was cancelled stays so.

    Example: heddle retry exp_01jd3k
    """
    with connect(url) as client:
        _print(client, _pinnable(client, work_id).retry(), as_json)


@main.command()
@click.argument("experiment_id", metavar="EXPERIMENT")
@click.option("--watch", "watched", is_flag=True, help="Stay until it has ended.")
@click.option(
    "--set",
    "overrides",
    metavar="PATH=VALUE",
    multiple=True,
    help="What is otherwise, as in --set objective.beta=8; may be repeated.",
)
@json_option
@url_option
def clone(
    experiment_id: str, watched: bool, overrides: tuple[str, ...], as_json: bool, url: str | None
) -> None:
    """Post the spec of an experiment once more, with changes.

    Example: heddle clone exp_01jd3k --set training.steps=600000 --set name=longer
    """
    _kind_of(experiment_id, "experiment")
    changes = dict(assigned(assignment) for assignment in overrides)
    with connect(url) as client:
        experiment = client.experiment(experiment_id).clone(changes)
        if not as_json:
            console().print(experiment_table(experiment, {}))
        if watched:
            _watch(client, experiment, as_json)
        elif as_json:
            click.echo(experiment.served)


@main.command()
@click.argument("work_id", metavar="ID")
@json_option
@url_option
def pin(work_id: str, as_json: bool, url: str | None) -> None:
    """Have the deletion of an experiment refused, or keep a run when its experiments go.

    Example: heddle pin exp_01jd3k
    """
    with connect(url) as client:
        _print(client, _pinnable(client, work_id).pin(), as_json)


@main.command()
@click.argument("work_id", metavar="ID")
@json_option
@url_option
def unpin(work_id: str, as_json: bool, url: str | None) -> None:
    """Let an experiment be deleted again, or a run go with its experiments.

    Example: heddle unpin exp_01jd3k
    """
    with connect(url) as client:
        _print(client, _pinnable(client, work_id).unpin(), as_json)


@main.command()
@click.argument("work_id", metavar="ID")
@click.option("--yes", is_flag=True, help="Do not ask.")
@url_option
def delete(work_id: str, yes: bool, url: str | None) -> None:
    """Delete an experiment that has ended, with the runs that nothing else holds, for good.

    What another experiment, a pin, or an evaluation asked for by itself holds stays. An evaluation
    of a file is deleted likewise; one of a run holds the run no longer, and its scores stay for as
    long as the run does.

    Example: heddle delete exp_01jd3k
    """
    _kind_of(work_id, "experiment or evaluation")
    with connect(url) as client:
        work = _work(client, work_id)
        assert not isinstance(work, Run)
        what = work.id
        if isinstance(work, Experiment):
            count = len(work.runs())
            runs = f"{count} run{'s' if count != 1 else ''}"
            what += f" ({work.document['name']}: {runs}, {size_of(work)})"
        elif run := work.document.get("run"):
            what += f" (its scores stay with {run}, which goes if nothing else holds it)"
        if not yes:
            click.confirm(f"Delete {what} for good?", abort=True, err=True)
        work.delete()
        done = "holds its run no longer" if work.document.get("run") else "is deleted"
        click.echo(f"{work.id} {done}", err=True)


def _show_plan(plan: httpx.Response, as_json: bool) -> None:
    if as_json:
        click.echo(plan.content)
        return
    document = plan.json()
    console().print(plan_table(document))
    for warning in document["warnings"]:
        console().print(Text(warning))


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


def _print(client: Client, work: Experiment | Run | Evaluation, as_json: bool) -> None:
    if as_json:
        click.echo(work.served)
    elif isinstance(work, Run):
        console().print(run_table(work), *attempt_table(work))
    elif isinstance(work, Evaluation):
        console().print(Text(f"{work.id}  {work.state}  {work.reason}".strip()))
        if work.state == "succeeded":
            console().print(score_table("", work.scores()))
    else:
        failed: dict[str, Run] = {}
        if any(run.state == "failed" for run in work.runs()):
            items = client.iterate("/v1/runs", experiment=work.id, state="failed")
            failed = {item["id"]: Run(client, item) for item in items}
        console().print(experiment_table(work, failed))


def _kind_of(work_id: str, expected: str = "experiment, run or evaluation") -> str:
    kinds = {"exp": "experiment", "run": "run", "eval": "evaluation"}
    kind = kinds.get(work_id.partition("_")[0])
    if kind is None or kind not in expected:
        known = " or ".join(f"{p}_…" for p, name in kinds.items() if name in expected)
        raise click.UsageError(f"Got the id {work_id!r}, expected {known}")
    return kind


def _work(client: Client, work_id: str) -> Experiment | Run | Evaluation:
    kind = _kind_of(work_id)
    if kind == "run":
        return client.run(work_id)
    return client.experiment(work_id) if kind == "experiment" else client.evaluation(work_id)


def _pinnable(client: Client, work_id: str) -> Experiment | Run:
    if _kind_of(work_id, "experiment or run") == "run":
        return client.run(work_id)
    return client.experiment(work_id)


def _runs(client: Client, work_id: str) -> list[Run]:
    if _kind_of(work_id, "experiment or run") == "run":
        return [client.run(work_id)]
    return client.experiment(work_id).runs()


def _echo(response: httpx.Response) -> None:
    click.echo(response.content)


for command in cli_queue.COMMANDS:
    main.add_command(command)

if __name__ == "__main__":
    sys.exit(main())
