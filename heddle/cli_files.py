"""Commands that judge a file of codes and factors."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
from rich.console import Console

from heddle.client import connect
from heddle.options import Command, url_option
from heddle.tables import advice_list, console, file_score_table


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


@click.command()
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
            found = scoring.score_run(client, file.name, of_run, side_console())
    elif server or url:
        with connect(url) as client:
            found = scoring.score_there(client, file, spec, choice, side_console())
    else:
        found = scoring.score_here(file, spec, choice, side_console())
    if as_json:
        document = {"items": found.scores, "next_cursor": None, "advice": found.advice}
        click.echo(json.dumps(document))
    else:
        table = file_score_table(file.name, found.scores, asked)
        console().print(table, advice_list(found.advice))
    if any(one["error"] for one in found.scores):
        sys.exit(1)


@click.command()
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
        side_console(),
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


def side_console() -> Console:
    """For bars, beside what is printed."""
    return Console(stderr=True)


COMMANDS = (score, audit)
