"""Commands that make experiments of a spec or of other work, and follow them."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from heddle.cli.options import (
    all_of,
    experiment_argument,
    json_option,
    url_option,
    work_argument,
)
from heddle.cli.output.presets import preset_account, preset_list
from heddle.cli.output.terminal import console, print_document
from heddle.cli.output.work import experiment_table
from heddle.cli.work import find_trained, kind_of, show_dry_run, watch_until_ended
from heddle.client.client import Client, connect
from heddle.client.resources import Experiment
from heddle.client.spec import assigned, override, read_spec

_watch_option = click.option("--watch", "watched", is_flag=True, help="Stay until it has ended.")
_priority_option = click.option(
    "--priority", type=click.IntRange(-10, 10), default=0, help="Higher goes first; 0 if absent."
)
_dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Only show what would be done, and what it takes."
)
_making_options = all_of(
    work_argument, _watch_option, _priority_option, _dry_run_option, json_option, url_option
)
_steps_option = click.option(
    "--steps",
    metavar="N",
    required=True,
    type=click.IntRange(min=1),
    help="Steps in all, with those that were trained already.",
)
_key_option = click.option(
    "--key",
    metavar="TEXT",
    help="Name this request. Posted again under its key, it makes no second experiment.",
)
_spec_set_option = click.option(
    "--set",
    "overrides",
    metavar="PATH=VALUE",
    multiple=True,
    help="Change the spec, as in --set objective.beta=8; may be repeated.",
)
_set_option = click.option(
    "--set",
    "overrides",
    metavar="PATH=VALUE",
    multiple=True,
    help="A change, as in --set objective.beta=8; may be repeated.",
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
    """Train an ended run or experiment further, as a new experiment.

    Its runs end with the same bits as runs that were trained for so many steps at once.

    Example: heddle extend exp_01jd3k --steps 300000
    """
    _make(work_id, "extend", {"steps": steps}, **options)


@click.command()
@_making_options
@_steps_option
@_set_option
def fork(work_id: str, overrides: tuple[str, ...], steps: int, **options: Any) -> None:
    """Train an ended run or experiment further with other numbers, as a new experiment.

    With sweep.PATH there is a run for each value: --set sweep.objective.beta=[4,8,16].

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
            show_dry_run(work.dry_run(verb, body, priority=priority), as_json)
        else:
            experiment = work.make(verb, body, priority=priority)
            _show_made(client, experiment, watched, as_json)


def _show_made(client: Client, experiment: Experiment, watched: bool, as_json: bool) -> None:
    if not as_json:
        console().print(experiment_table(experiment, {}))
    if watched:
        watch_until_ended(client, experiment, as_json)
    elif as_json:
        click.echo(experiment.served)


@click.command()
@click.argument("spec", metavar="FILE|-", type=click.Path(dir_okay=False, allow_dash=True))
@_watch_option
@_spec_set_option
@_key_option
@_priority_option
@_dry_run_option
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
    document = _changed(read_spec(sys.stdin.read() if spec == "-" else Path(spec)), overrides)
    with connect(url) as client:
        _post(client, document, dry_run, watched, key, priority, as_json)


def _post(
    client: Client,
    document: dict[str, Any],
    dry_run: bool,
    watched: bool,
    key: str | None,
    priority: int,
    as_json: bool,
) -> None:
    if dry_run:
        show_dry_run(client.dry_run(document, priority=priority), as_json)
    else:
        experiment = client.submit(document, idempotency_key=key, priority=priority)
        _show_made(client, experiment, watched, as_json)


def _changed(document: dict[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    for assignment in overrides:
        override(document, assignment)
    return document


@click.command()
@click.argument("name", required=False)
@click.option("--dataset", metavar="NAME", help="Train on this data set.")
@click.option("--seeds", metavar="N", type=click.IntRange(min=1), help="So many seeds, from 0 on.")
@_spec_set_option
@_dry_run_option
@click.option("--submit", "submitted", is_flag=True, help="Post it, as heddle submit does.")
@_watch_option
@_key_option
@_priority_option
@json_option
@url_option
def preset(
    name: str | None,
    dataset: str | None,
    seeds: int | None,
    overrides: tuple[str, ...],
    dry_run: bool,
    submitted: bool,
    watched: bool,
    key: str | None,
    priority: int,
    as_json: bool,
    url: str | None,
) -> None:
    """List the presets, show one, or make an experiment of it.

    A preset is the experiment of a known work. Without --dry-run or --submit it is only shown, with
    its source and with what differs from there.

    Example: heddle preset tutorial --seeds 2 --set training.steps=500 --submit --watch
    """
    choices = dataset is not None or seeds is not None
    if name is None and (choices or overrides or dry_run or submitted or watched or key):
        raise click.UsageError("Got options, expected the NAME of a preset as well")
    if dry_run and submitted:
        raise click.UsageError("--dry-run posts nothing, so it does not go with --submit")
    if overrides and not (dry_run or submitted):
        raise click.UsageError("--set needs --dry-run or --submit")
    if (watched or key is not None) and not submitted:
        raise click.UsageError("--watch and --key need --submit")
    with connect(url) as client:
        if name is None:
            answer = client.get("/v1/presets")
            print_document(answer.content, as_json, lambda: preset_list(answer.json()["items"]))
            return
        answer = client.preset(name, dataset=dataset, seeds=seeds)
        if not dry_run and not submitted:
            print_document(answer.content, as_json, lambda: preset_account(answer.json()))
            return
        document = _changed(answer.json()["spec"], overrides)
        _post(client, document, dry_run, watched, key, priority, as_json)


@click.command()
@experiment_argument
@json_option
@url_option
def watch(experiment_id: str, as_json: bool, url: str | None) -> None:
    """Follow an experiment until it has ended; Ctrl-C does not stop it.

    Example: heddle watch exp_01jd3k
    """
    kind_of(experiment_id, "experiment")
    with connect(url) as client:
        watch_until_ended(client, client.experiment(experiment_id), as_json)


COMMANDS = (submit, preset, clone, extend, fork, watch)
