"""Commands that take results away from the server: a run as a folder, a study as one page."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.table import Table

from heddle.cli.options import url_option
from heddle.cli.output.terminal import console
from heddle.cli.work import kind_of
from heddle.client.client import connect


@click.command()
@click.argument("run_id", metavar="RUN")
@click.option(
    "--to",
    "folder",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where to; a new folder named as the run if absent.",
)
@click.option("--json", "as_json", is_flag=True, help="Print folder and files as JSON.")
@url_option
def export(run_id: str, folder: Path | None, as_json: bool, url: str | None) -> None:
    """Fetch a trained run as a folder that needs no Heddle.

    It has the weights with a loader for plain torch (load.py), codes, scores, curves, pictures, and
    a README that cites the run's methods.

    Example: heddle export run_01jd3k --to beta4
    """
    kind_of(run_id, "run")
    folder = folder or Path(run_id)
    with connect(url) as client:
        paths = client.run(run_id).export(folder)
    sizes = {path.relative_to(folder).as_posix(): path.stat().st_size for path in paths}
    if as_json:
        files = [{"name": name, "bytes": size} for name, size in sizes.items()]
        click.echo(json.dumps({"run": run_id, "folder": str(folder), "files": files}))
        return
    table = Table("file", "bytes", title=str(folder), title_justify="left", box=None)
    table.columns[1].justify = "right"
    for name, size in sizes.items():
        table.add_row(name, f"{size:,}")
    console().print(table)
    if "load.py" in sizes:
        click.echo(f"python {folder / 'load.py'} compares its codes with ours.")


@click.command()
@click.argument("experiment_id", metavar="EXPERIMENT")
@click.option(
    "--out",
    metavar="FILE",
    default="report.html",
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write.",
)
@url_option
def report(experiment_id: str, out: Path, url: str | None) -> None:
    """Write an experiment's report: one HTML file with answer, plots, tables and references.

    It asks nothing of the network, so that it can be mailed and kept; a report of an experiment
    that goes on says what is there by now.

    Example: heddle report exp_01jd3k --out beta.html
    """
    kind_of(experiment_id, "experiment")
    with connect(url) as client:
        path = client.experiment(experiment_id).report(out)
    click.echo(path)


COMMANDS = (export, report)
