"""Commands that fetch results: files, a run as a folder, a study as a page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click
from rich.table import Table

from heddle.cli.options import (
    experiment_argument,
    file_out_option,
    json_option,
    json_option_that,
    run_argument,
    url_option,
    work_argument,
)
from heddle.cli.output.terminal import print_document
from heddle.cli.work import find_runs, kind_of
from heddle.client.client import connect


@click.command()
@work_argument
@click.option(
    "--to",
    "folder",
    required=True,
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where to; the runs of an experiment get a folder each.",
)
@json_option
@url_option
def download(work_id: str, folder: Path, as_json: bool, url: str | None) -> None:
    """Fetch the files of a run or of each run of an experiment, checked by their digests.

    Files that the folder has already are not fetched again. An interrupted download goes on.

    Example: heddle download run_01jd3k --to results
    """
    with connect(url) as client:
        for run in find_runs(client, work_id):
            paths = run.download(folder / run.id if work_id.startswith("exp_") else folder)
            if as_json:
                click.echo(client.get(f"/v1/runs/{run.id}/artifacts").content)
            else:
                click.echo("".join(f"{path}\n" for path in paths), nl=False)


@click.command()
@run_argument
@click.option(
    "--to",
    "folder",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where to; a new folder named as the run if absent.",
)
@json_option_that("Print folder and files as JSON.")
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
    files = [{"name": name, "bytes": size} for name, size in sizes.items()]
    document = {"run": run_id, "folder": str(folder), "files": files}
    print_document(document, as_json, lambda: _files_table(str(folder), sizes))
    if "load.py" in sizes and not as_json:
        click.echo(f"python {folder / 'load.py'} compares its codes with ours.")


def _files_table(title: str, sizes: Mapping[str, int]) -> Table:
    table = Table("file", "bytes", title=title, title_justify="left", box=None)
    table.columns[1].justify = "right"
    for name, size in sizes.items():
        table.add_row(name, f"{size:,}")
    return table


@click.command()
@experiment_argument
@file_out_option("The file to write.", default="report.html")
@url_option
def report(experiment_id: str, out: Path, url: str | None) -> None:
    """Write an experiment's report: one HTML file with answer, plots, tables and references.

    The file needs no network, so that it can be mailed and kept. The report of an experiment that
    goes on has the results so far.

    Example: heddle report exp_01jd3k --out beta.html
    """
    kind_of(experiment_id, "experiment")
    with connect(url) as client:
        path = client.experiment(experiment_id).report(out)
    click.echo(path)


COMMANDS = (download, export, report)
