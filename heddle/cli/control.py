"""Commands that change work: cancel, resume, retry, pin, unpin, delete."""

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
    """Stop a run, an evaluation, or those runs of an experiment that no other experiment wants.

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
    """Queue failed work again: of an experiment, a run or an evaluation. Cancelled work stays so.

    Example: heddle retry exp_01jd3k
    """
    with connect(url) as client:
        show_work(client, find_work(client, work_id).retry(), as_json)


@click.command()
@work_options
def pin(work_id: str, as_json: bool, url: str | None) -> None:
    """Protect an experiment from deletion, or keep a run when its experiments are deleted.

    Example: heddle pin exp_01jd3k
    """
    with connect(url) as client:
        show_work(client, find_trained(client, work_id).pin(), as_json)


@click.command()
@work_options
def unpin(work_id: str, as_json: bool, url: str | None) -> None:
    """Take a pin away, so that an experiment, or a run with its experiments, may be deleted.

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

    A run stays if another experiment, a pin, or an evaluation that was asked for by itself holds
    it. An evaluation of a file is deleted likewise. An evaluation of a run no longer holds the run
    then, and its scores stay for as long as the run does.

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
