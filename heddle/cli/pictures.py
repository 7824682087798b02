"""Commands that fetch pictures, and one that names latents for them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from heddle.cli.options import (
    file_out_option,
    json_option,
    json_option_that,
    run_argument,
    url_option,
)
from heddle.cli.output.terminal import print_document, say
from heddle.cli.work import kind_of
from heddle.client.client import Client, connect
from heddle.client.connection import address
from heddle.client.plots import fetch_plot
from heddle.client.resources import Run

_file_json_option = json_option_that("Print the name of the file as JSON.")


@click.command()
@run_argument
@file_out_option("The file to write, .png, .svg or .gif; traversal.png if absent.")
@click.option(
    "--base",
    type=click.Choice(["typical", "mean", "prior", "image"]),
    help="Where the other latents stay: at the most typical image, the mean code, the prior's mean,"
    " or the image of --image.",
)
@click.option(
    "--image", metavar="N", type=click.IntRange(min=0), help="Stay at this image of the data set."
)
@click.option("--seed", type=click.IntRange(min=0), help="With --base prior: a draw of the prior.")
@click.option(
    "--span",
    type=click.Choice(["quantiles", "deviations", "range", "units"]),
    help="What a latent moves through: quantiles, deviations or the range of its codes, or plain"
    " numbers.",
)
@click.option(
    "--extent", metavar="X", type=float, help="Deviations or units to either side; a quantile."
)
@click.option("--low", metavar="X", type=float, help="The least number, with --high.")
@click.option("--high", metavar="X", type=float, help="The greatest number, with --low.")
@click.option("--frames", metavar="N", type=click.IntRange(2, 51), help="Images of each latent.")
@click.option("--latents", metavar="NUMBERS", help="Only these, as in 0,3.")
@click.option(
    "--order", type=click.Choice(["kl", "factor", "index"]), help="Which latents come first."
)
@click.option("--most", metavar="N", type=click.IntRange(min=1), help="Latents shown at most.")
@_file_json_option
@url_option
def traverse(
    run_id: str, out: Path | None, as_json: bool, url: str | None, **params: str | float | None
) -> None:
    """Picture a run's latents: one moves, the others stay. A .gif is a film.

    Example: heddle traverse run_01jd3k --span deviations --extent 3 --out smile.gif
    """
    kind_of(run_id, "run")
    with connect(url) as client:
        _fetch(client, run_id, "traversal", out, params, as_json)


@click.command()
@click.argument("of", metavar="RUN|EXPERIMENT|DATASET")
@click.argument("plot", metavar="PLOT")
@click.option(
    "--set",
    "assignments",
    metavar="PARAM=VALUE",
    multiple=True,
    help="A param of the plot, as in --set log_x=true; lists have commas; may be repeated.",
)
@file_out_option(
    "The file to write, .png, .svg, or .gif of traversal and training_film; PLOT.png if absent."
)
@_file_json_option
@url_option
def plot(
    of: str,
    plot: str,
    assignments: tuple[str, ...],
    out: Path | None,
    as_json: bool,
    url: str | None,
) -> None:
    """Fetch a plot of a run, an experiment or a data set; `heddle plots` lists them.

    Example: heddle plot exp_01jd3k score_against --set x=objective.beta --set log_x=true
    """
    params = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals or not name:
            raise click.UsageError(f"Got {assignment!r}, expected PARAM=VALUE")
        params[name] = value
    with connect(url) as client:
        _fetch(client, of, plot, out, params, as_json)


def _fetch(
    client: Client,
    of: str,
    plot: str,
    out: Path | None,
    params: Mapping[str, Any],
    as_json: bool,
) -> None:
    try:
        path = fetch_plot(client, _place(of), plot, out or Path(f"{plot}.png"), params)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    click.echo(json.dumps({"file": str(path)}) if as_json else path)


def _place(of: str) -> str:
    """The address of a run or an experiment by its id; any other word names a data set."""
    places = {"run_": "runs", "exp_": "experiments"}
    return address(places.get(of[:4], "datasets"), of)


@click.command()
@click.option("--of", type=click.Choice(["run", "study", "dataset"]), help="Only plots of these.")
@json_option
@url_option
def plots(of: str | None, as_json: bool, url: str | None) -> None:
    """List all plots, with what each is drawn of and the params that it takes.

    Example: heddle plots --of run
    """
    with connect(url) as client:
        answer = client.get("/v1/catalog")
    print_document(answer.content, as_json, lambda: _plots_table(answer.json()["plots"], of))


def _plots_table(known: Iterable[Mapping[str, Any]], of: str | None) -> Table:
    table = Table("plot", "of", "shows", "params", box=None)
    table.columns[0].no_wrap = True
    for entry in known:
        if of in (None, entry["of"]):
            params = [name for name in entry["params_schema"]["properties"] if name != "name"]
            cells = map(Text, (entry["name"], entry["of"], entry["summary"]))
            table.add_row(*cells, " ".join(params))
    return table


@click.command("name")
@run_argument
@click.argument("assignments", metavar="LATENT=NAME...", nargs=-1, required=True)
@json_option
@url_option
def name_latents(run_id: str, assignments: tuple[str, ...], as_json: bool, url: str | None) -> None:
    """Name latents of a run, as its pictures show them; an empty name removes it.

    Example: heddle name run_01jd3k z3=smile z5=
    """
    kind_of(run_id, "run")
    changed = dict(map(_named, assignments))
    with connect(url) as client:
        run = _renamed(client, run_id, changed)
    if as_json:
        click.echo(run.served)
        return
    names = run.document["latent_names"]
    for latent in sorted(names, key=int):
        say(f"z{latent} {names[latent]}")
    if not names:
        click.echo(f"{run.id} has no named latents.", err=True)


def _named(assignment: str) -> tuple[int, str]:
    latent, equals, name = assignment.partition("=")
    number = latent.removeprefix("z")
    if not equals or not number.isdecimal():
        raise click.UsageError(f"Got {assignment!r}, expected LATENT=NAME, as in z3=smile")
    return int(number), name.strip()


def _renamed(client: Client, run_id: str, changed: dict[int, str]) -> Run:
    run = client.run(run_id)
    known = {int(latent): name for latent, name in run.document["latent_names"].items()}
    return run.name_latents({k: name for k, name in (known | changed).items() if name})


COMMANDS = (traverse, plot, plots, name_latents)
