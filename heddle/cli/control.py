"""Commands that act on work: stop it, take it up again, keep it, delete it."""

from __future__ import annotations

import click

from heddle.cli.options import url_option, work_argument, work_options
from heddle.cli.output.work import size_of
from heddle.cli.work import find_trained, find_work, kind_of, show_work
from heddle.client.client import connect
from heddle.client.resources import Experiment, Run


@click.command()
@work_options
def cancel(work_id: str, as_json: bool, url: str | None) -> None:
    """Stop a run, the runs of an experiment that no other wants, or an evaluation.

    Example: heddle cancel exp_01jd3k
    """
    with connect(url) as client:
        show_work(client, find_work(client, work_id).cancel(), as_json)


@click.command()
@work_options
def resume(work_id: str, as_json: bool, url: str | None) -> None:
    """Queue failed and cancelled work again, from its checkpoints.

    Example: heddle resume run_01jd3k
    """
    with connect(url) as client:
        show_work(client, find_work(client, work_id).resume(), as_json)


@click.command()
@work_options
def retry(work_id: str, as_json: bool, url: str | None) -> None:
    """Queue again what has failed of an experiment, a run or an evaluation; not what was cancelled.

    Example: heddle retry exp_01jd3k
    """
    with connect(url) as client:
        show_work(client, find_work(client, work_id).retry(), as_json)


@click.command()
@work_options
def pin(work_id: str, as_json: bool, url: str | None) -> None:
    """Have the deletion of an experiment refused, or keep a run when its experiments go.

    Example: heddle pin exp_01jd3k
    """
    with connect(url) as client:
        show_work(client, find_trained(client, work_id).pin(), as_json)


@click.command()
@work_options
def unpin(work_id: str, as_json: bool, url: str | None) -> None:
    """Let an experiment be deleted again, or a run go with its experiments.

    Example: heddle unpin exp_01jd3k
    """
    with connect(url) as client:
        show_work(client, find_trained(client, work_id).unpin(), as_json)


@click.command()
@work_argument
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


COMMANDS = (cancel, resume, retry, pin, unpin, delete)
