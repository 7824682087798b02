"""Commands that show the queue, the workers, logs and events, and find or annotate work."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from time import sleep
from typing import Any

import click
from rich.console import Group
from rich.text import Text

from heddle.cli.options import experiment_argument, json_option, url_option, work_argument
from heddle.cli.output.queue import found_table, queue_table, share_table, worker_table
from heddle.cli.output.terminal import print_document, say
from heddle.cli.work import kind_of
from heddle.client.client import Client, connect
from heddle.client.connection import address
from heddle.client.resources import ENDED

FOLLOW_SECONDS = 2.0


@click.command()
@click.option("--owner", metavar="NAME", help="Only this owner's work.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 500))
@json_option
@url_option
def queue(owner: str | None, limit: int, as_json: bool, url: str | None) -> None:
    """Show waiting work in order, with why it waits and when it may start, and recent shares.

    Example: heddle queue --owner ada
    """
    params: dict[str, Any] = {"limit": limit} | ({"owner": owner} if owner else {})
    with connect(url) as client:
        answer = client.get("/v1/queue", **params)
    tables = (queue_table, share_table)
    print_document(answer.content, as_json, lambda: Group(*(one(answer.json()) for one in tables)))


@click.command()
@json_option
@url_option
def workers(as_json: bool, url: str | None) -> None:
    """Show the workers: their devices, and their jobs.

    Example: heddle workers
    """
    with connect(url) as client:
        answer = client.get("/v1/workers")
    print_document(answer.content, as_json, lambda: worker_table(answer.json()["items"]))


@click.command()
@work_argument
@click.option("--tail", type=click.IntRange(min=1), help="Only so many of the last lines.")
@click.option("--follow", is_flag=True, help="Go on as more is logged, until the work has ended.")
@json_option
@url_option
def log(work_id: str, tail: int | None, follow: bool, as_json: bool, url: str | None) -> None:
    """Show what workers logged of a run or an evaluation. With --json each page is a line.

    Example: heddle log run_01jd3k --follow
    """
    path = address(f"{kind_of(work_id, 'run or evaluation')}s", work_id)
    params: dict[str, Any] = {} if tail is None else {"tail": tail}
    with connect(url) as client:
        ended = not follow
        while True:
            params = _print_lines(client, path, params, as_json)
            if ended:
                return
            # The last lines are kept a moment after the work has ended.
            ended = client.get(path).json()["state"] in ENDED
            sleep(FOLLOW_SECONDS)


def _print_lines(
    client: Client, path: str, params: dict[str, Any], as_json: bool
) -> dict[str, Any]:
    """Print the lines so far; returns the parameters that ask for the lines after them."""
    while True:
        answer = client.get(f"{path}/log", accept="application/json", **params)
        page = answer.json()
        if as_json:
            click.echo(answer.content)
        else:
            say("".join(map(_line, page["items"])), nl=False)
        if page["items"]:
            params = {"cursor": page["items"][-1]["cursor"]}
        if page["next_cursor"] is None:
            return params


def _line(line: dict[str, Any]) -> str:
    """A line as the server writes it in text."""
    at = datetime.fromisoformat(line["at"]).isoformat(timespec="milliseconds")
    message = line["message"].rstrip("\n").replace("\n", "\n    ")
    return f"{at.replace('+00:00', 'Z')} {line['level']} {line['worker']} {message}\n"


@click.command()
@click.argument("experiment_id", metavar="[EXPERIMENT]", required=False)
@click.option("--after", type=click.IntRange(min=0), help="Begin after this position.")
@json_option
@url_option
def events(experiment_id: str | None, after: int | None, as_json: bool, url: str | None) -> None:
    """Print events as they happen, until Ctrl-C.

    The events of an EXPERIMENT come from its beginning, those of all experiments from now on. With
    --json each event is a line.

    Example: heddle events exp_01jd3k
    """
    with connect(url) as client:
        for event in client.events(experiment_id, after=after):
            print_document(event, as_json, partial(_event_line, event))


def _event_line(event: dict[str, Any]) -> Text:
    run = event["data"].get("run_id", "")
    return Text(f"{event['created_at'][:19]}Z  {event['experiment']}  {event['type']}  {run}")


@click.command()
@click.option("--experiments", is_flag=True, help="Experiments in place of runs.")
@click.option("--name", metavar="TEXT", help="Text in the experiment's name, in capitals or not.")
@click.option("--notes", metavar="TEXT", help="Text in its notes; with --experiments.")
@click.option("--tag", metavar="TAG")
@click.option("--state", metavar="STATE")
@click.option("--dataset", metavar="NAME")
@click.option("--objective", metavar="NAME")
@click.option("--swept", metavar="PATH=VALUE", help="As in objective.beta=4,seed=1.")
@click.option("--owner", metavar="NAME")
@click.option("--since", metavar="DATE", help="As in 2026-01-31T00:00:00Z.")
@click.option("--until", metavar="DATE")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 500))
@json_option
@url_option
def find(
    experiments: bool, limit: int, as_json: bool, url: str | None, **filters: str | None
) -> None:
    """Find runs, or experiments, that meet every condition given, newest first.

    Example: heddle find --objective beta_vae --swept objective.beta=4 --state succeeded
    """
    params: dict[str, Any] = {name: value for name, value in filters.items() if value is not None}
    with connect(url) as client:
        answer = client.get(
            f"/v1/{'experiments' if experiments else 'runs'}", limit=limit, **params
        )
    print_document(answer.content, as_json, lambda: found_table(answer.json()["items"]))


@click.command()
@experiment_argument
@click.option("--name", metavar="TEXT")
@click.option("--notes", metavar="TEXT")
@click.option("--tag", "tags", metavar="TAG", multiple=True, help="All its tags; may be repeated.")
@json_option
@url_option
def note(
    experiment_id: str,
    name: str | None,
    notes: str | None,
    tags: tuple[str, ...],
    as_json: bool,
    url: str | None,
) -> None:
    """Change an experiment's name, notes or tags; this starts no run.

    Example: heddle note exp_01jd3k --notes "as in figure 3"
    """
    given: dict[str, Any] = {"name": name, "notes": notes, "tags": list(tags) or None}
    document = {field: value for field, value in given.items() if value is not None}
    if not document:
        raise click.UsageError("Give at least one of --name, --notes and --tag")
    with connect(url) as client:
        answer = client.patch(address("experiments", experiment_id), document)
    print_document(answer.content, as_json, lambda: found_table([answer.json()]))


COMMANDS = (queue, workers, log, events, find, note)
