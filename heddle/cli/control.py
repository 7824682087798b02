"""Commands that act on work: stop it, take it up again, go on from it, keep it, delete it."""

from __future__ import annotations

from typing import Any

import click

from heddle.cli.options import Command, json_option, url_option
from heddle.cli.output.terminal import console
from heddle.cli.output.work import experiment_table, size_of
from heddle.cli.work import (
    find_trained,
    find_work,
    kind_of,
    show_plan,
    show_work,
    watch_until_ended,
)
from heddle.client.client import connect
from heddle.client.resources import Experiment, Run
from heddle.client.spec import assigned


@click.command()
@click.argument("work_id", metavar="ID")
@json_option
@url_option
def cancel(work_id: str, as_json: bool, url: str | None) -> None:
    """Stop a run, the runs of an experiment that no other wants, or an evaluation.

    Example: heddle cancel exp_01jd3k
    """
    with connect(url) as client:
        show_work(client, find_work(client, work_id).cancel(), as_json)


@click.command()
@click.argument("work_id", metavar="ID")
@json_option
@url_option
def resume(work_id: str, as_json: bool, url: str | None) -> None:
    """Queue failed and cancelled work again, from its checkpoints.

    Example: heddle resume run_01jd3k
    """
    with connect(url) as client:
        show_work(client, find_work(client, work_id).resume(), as_json)


@click.command()
@click.argument("work_id", metavar="ID")
@json_option
@url_option
def retry(work_id: str, as_json: bool, url: str | None) -> None:
    """Queue again what has failed of an experiment, a run or an evaluation; not what was cancelled.

    Example: heddle retry exp_01jd3k
    """
    with connect(url) as client:
        show_work(client, find_work(client, work_id).retry(), as_json)


def _making_options(command: Command) -> Command:
    """What commands take that make an experiment of others."""
    options = [
        click.argument("work_id", metavar="ID"),
        click.option("--watch", "watched", is_flag=True, help="Stay until it has ended."),
        click.option(
            "--priority",
            type=click.IntRange(-10, 10),
            default=0,
            help="Higher goes first; 0 if absent.",
        ),
        click.option(
            "--dry-run", is_flag=True, help="Only show what would be done, and what it takes."
        ),
        json_option,
        url_option,
    ]
    for option in reversed(options):
        command = option(command)
    return command


_steps_option = click.option(
    "--steps",
    metavar="N",
    required=True,
    type=click.IntRange(min=1),
    help="How far in all, with the steps that are made.",
)
_set_option = click.option(
    "--set",
    "overrides",
    metavar="PATH=VALUE",
    multiple=True,
    help="What is otherwise, as in --set objective.beta=8; may be repeated.",
)


@click.command()
@_making_options
@_set_option
def clone(work_id: str, overrides: tuple[str, ...], **options: Any) -> None:
    """Post the spec of an experiment or a run once more, with changes.

    Example: heddle clone exp_01jd3k --set training.batch_size=256 --set name=wider
    """
    _make(work_id, "clone", {"changes": _changes(overrides)}, **options)


@click.command()
@_making_options
@_steps_option
def extend(work_id: str, steps: int, **options: Any) -> None:
    """Train further what has ended: a new experiment, whose runs go on from there.

    They end with the very bits of runs that were so long from the beginning.

    Example: heddle extend exp_01jd3k --steps 300000
    """
    _make(work_id, "extend", {"steps": steps}, **options)


@click.command()
@_making_options
@_steps_option
@_set_option
def fork(work_id: str, overrides: tuple[str, ...], steps: int, **options: Any) -> None:
    """Go on from where work has ended with other numbers: a new experiment.

    With sweep.PATH a run for each of several: --set sweep.objective.beta=[4,8,16].

    Example: heddle fork run_01jd3k --set objective.beta=16 --steps 300000
    """
    _make(work_id, "fork", {"steps": steps, "changes": _changes(overrides)}, **options)


def _changes(overrides: tuple[str, ...]) -> dict[str, Any]:
    return dict(assigned(assignment) for assignment in overrides)


def _make(
    work_id: str,
    verb: str,
    body: dict[str, Any],
    *,
    watched: bool,
    priority: int,
    dry_run: bool,
    as_json: bool,
    url: str | None,
) -> None:
    if dry_run and watched:
        raise click.UsageError("--dry-run posts nothing, so it does not take --watch")
    with connect(url) as client:
        work = find_trained(client, work_id)
        if dry_run:
            show_plan(work.plan(verb, body, priority=priority), as_json)
            return
        experiment = work.make(verb, body, priority=priority)
        if not as_json:
            console().print(experiment_table(experiment, {}))
        if watched:
            watch_until_ended(client, experiment, as_json)
        elif as_json:
            click.echo(experiment.served)


@click.command()
@click.argument("work_id", metavar="ID")
@json_option
@url_option
def pin(work_id: str, as_json: bool, url: str | None) -> None:
    """Have the deletion of an experiment refused, or keep a run when its experiments go.

    Example: heddle pin exp_01jd3k
    """
    with connect(url) as client:
        show_work(client, find_trained(client, work_id).pin(), as_json)


@click.command()
@click.argument("work_id", metavar="ID")
@json_option
@url_option
def unpin(work_id: str, as_json: bool, url: str | None) -> None:
    """Let an experiment be deleted again, or a run go with its experiments.

    Example: heddle unpin exp_01jd3k
    """
    with connect(url) as client:
        show_work(client, find_trained(client, work_id).unpin(), as_json)


@click.command()
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
    kind_of(work_id, "experiment or evaluation")
    with connect(url) as client:
        work = find_work(client, work_id)
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


COMMANDS = (cancel, resume, retry, clone, extend, fork, pin, unpin, delete)
