"""Commands that show the results of sweeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from heddle.cli.options import experiment_argument, json_option, url_option
from heddle.cli.output.results import leaderboard_tables, results_table, summary_tables
from heddle.cli.output.terminal import console, print_document
from heddle.client.client import connect
from heddle.client.connection import address

FORMATS = ("table", "csv", "parquet", "json")
BY_SUFFIX = {f".{format}": format for format in FORMATS[1:]}


@click.command()
@experiment_argument
@click.option(
    "--format",
    "kind",
    type=click.Choice(FORMATS),
    help="By default the suffix of --out, or a table to look at.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write; without it, csv, parquet and json go to the standard output.",
)
@json_option
@url_option
def results(
    experiment_id: str, kind: str | None, out: Path | None, as_json: bool, url: str | None
) -> None:
    """Show one tidy row a run: swept values, every score, the last values of training curves.

    Example: heddle results exp_… --out results.parquet
    """
    kind = "json" if as_json else kind or (BY_SUFFIX.get(out.suffix, "csv") if out else "table")
    if kind == "table" and out is not None:
        raise click.UsageError("--out takes csv, parquet or json, not a table to look at")
    path = address("experiments", experiment_id, "results")
    with connect(url) as client:
        answer = client.get(path, format="json" if kind == "table" else kind)
    if kind == "table":
        console().print(results_table(answer.json()["items"]))
    elif out is None:
        click.echo(answer.content, nl=kind == "json")
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(answer.content)
        click.echo(out)


@click.command()
@experiment_argument
@click.option("--no-udr", is_flag=True, help="Do not compare models, which reads their codes.")
@json_option
@url_option
def summary(experiment_id: str, no_udr: bool, as_json: bool, url: str | None) -> None:
    """Summarise a sweep: the best setting, the spread by setting, and what explains it.

    Example: heddle summary exp_…
    """
    params: dict[str, Any] = {"udr": "false"} if no_udr else {}
    with connect(url) as client:
        answer = client.get(address("experiments", experiment_id, "summary"), **params)
    print_document(answer.content, as_json, lambda: summary_tables(answer.json()))


@click.command()
@click.argument("dataset")
@click.option("--metric", metavar="NAME", help="Only this metric's numbers.")
@click.option("--objective", metavar="NAME", help="Only runs with this objective.")
@click.option("--limit", default=10, show_default=True, type=click.IntRange(1, 500))
@json_option
@url_option
def leaderboard(
    dataset: str,
    metric: str | None,
    objective: str | None,
    limit: int,
    as_json: bool,
    url: str | None,
) -> None:
    """Rank everything that was scored on a DATASET, by the median over seeds.

    Example: heddle leaderboard dsprites --metric mig
    """
    asked: dict[str, Any] = {
        "dataset": dataset,
        "metric": metric,
        "objective": objective,
        "limit": limit,
    }
    with connect(url) as client:
        answer = client.get(
            "/v1/leaderboard", **{key: value for key, value in asked.items() if value is not None}
        )
    print_document(answer.content, as_json, lambda: leaderboard_tables(answer.json()["items"]))


COMMANDS = (results, summary, leaderboard)
