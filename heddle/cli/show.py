"""Commands that show an experiment, a run or an evaluation, and its scores."""

from __future__ import annotations

import click
from rich.console import Group

from heddle.cli.options import work_options
from heddle.cli.output.terminal import console
from heddle.cli.output.work import advice_list, halving_lines, score_table
from heddle.cli.work import find_runs, find_work, kind_of, show_work
from heddle.client.client import connect
from heddle.client.connection import address


@click.command()
@work_options
def show(work_id: str, as_json: bool, url: str | None) -> None:
    """Show an experiment with its runs, a run, or an evaluation: states, errors, what to do.

    Example: heddle show run_01jd3k
    """
    with connect(url) as client:
        show_work(client, find_work(client, work_id), as_json)


@click.command()
@work_options
def scores(work_id: str, as_json: bool, url: str | None) -> None:
    """Show the scores of a run on the server, of each run of an experiment, or of an evaluation.

    (A file of codes that you have is scored by `heddle score`.)

    Example: heddle scores exp_01jd3k
    """
    with connect(url) as client:
        if kind_of(work_id) == "evaluation":
            if as_json:
                click.echo(client.get(address("evaluations", work_id, "scores")).content)
            else:
                show_work(client, client.evaluation(work_id), as_json)
            return
        for run in find_runs(client, work_id):
            if as_json:
                click.echo(client.get(f"/v1/runs/{run.id}/scores").content)
            else:
                found = run.scores()
                table = score_table(run.label, found)
                console().print(Group(table, *halving_lines(found)), advice_list(run.advice()))


COMMANDS = (show, scores)
