"""Commands for data sets: add, list, show, describe, rename and delete them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from heddle.cli.options import all_of, json_option, url_option
from heddle.cli.output.datasets import UploadBar, dataset_account, dataset_table
from heddle.cli.output.terminal import print_document, say, side_console
from heddle.client.client import connect
from heddle.client.connection import address

_ENTRY = click.Path(path_type=Path)
_words = all_of(
    click.option("--description", metavar="TEXT", help="What it shows."),
    click.option("--licence", metavar="TEXT", help="What you say of its licence."),
)


@click.group()
def dataset() -> None:
    """Add, list, show, rename and delete data sets. A spec names one as `dataset: NAME`.

    Example: heddle dataset add faces/ --name faces --factors labels.csv
    """


def _kinds(
    _context: click.Context, _param: click.Parameter, given: tuple[str, ...]
) -> dict[str, str]:
    kinds = {}
    for one in given:
        factor, equals, kind = one.rpartition("=")
        if not equals or not factor or kind not in ("discrete", "continuous"):
            expected = "FACTOR=discrete or FACTOR=continuous"
            raise click.BadParameter(f"got {one!r}, expected {expected}")
        kinds[factor] = kind
    return kinds


@dataset.command()
@click.argument("source", metavar="FILE|FOLDER", type=_ENTRY)
@click.option("--name", required=True, metavar="NAME", help="Letters, digits and _ . -")
@click.option("--factors", metavar="TABLE", type=_ENTRY, help="A CSV, Parquet, npz or HDF5 file.")
@_words
@click.option("--private", is_flag=True, help="Leave it out of lists.")
@click.option(
    "--kind",
    "kinds",
    metavar="FACTOR=KIND",
    multiple=True,
    callback=_kinds,
    help="Whether a factor is discrete or continuous; may be repeated.",
)
@click.option("--crop", metavar="N", type=click.IntRange(min=1), help="Cut out the middle N x N.")
@click.option("--resize", metavar="N", type=click.IntRange(min=1), help="Bring it to N x N pixels.")
@click.option("--channels", type=click.Choice(["1", "3"]), help="Make it grey (1) or coloured (3).")
@click.option("--images-key", metavar="NAME", help="The array of FILE that has the images.")
@click.option("--factors-key", metavar="NAME", help="The array that has the factors.")
@click.option("--index-column", metavar="NAME", help="The column of the images' file names.")
@click.option("--dry-run", is_flag=True, help="Show what would be stored, and keep nothing.")
@json_option
@url_option
def add(
    source: Path,
    name: str,
    factors: Path | None,
    description: str | None,
    licence: str | None,
    private: bool,
    channels: str | None,
    dry_run: bool,
    as_json: bool,
    url: str | None,
    **options: Any,
) -> None:
    """Upload images, with a table of their factors if there is one.

    A folder is packed first. After a broken connection the upload goes on where it ended.

    Example: heddle dataset add faces/ --name faces --factors faces.csv --resize 64
    """
    if options["kinds"] == {}:
        del options["kinds"]
    with connect(url) as client, UploadBar(side_console()) as bar:
        answer = client.add_dataset(
            source,
            name=name,
            factors=factors,
            description=description or "",
            licence=licence or "",
            private=private,
            dry_run=dry_run,
            progress=bar,
            channels=None if channels is None else int(channels),
            **options,
        )
    print_document(answer.content, as_json, lambda: dataset_account(answer.json()))


@dataset.command(name="list")
@click.option("--private", is_flag=True, help="With private ones.")
@click.option("--json", "as_json", is_flag=True, help="Print the API's documents, a page a line.")
@url_option
def list_(private: bool, as_json: bool, url: str | None) -> None:
    """List the data sets: uploaded ones, then those that come with Heddle.

    Example: heddle dataset list
    """
    params: dict[str, Any] = {"private": "true"} if private else {}
    items: list[dict[str, Any]] = []
    with connect(url) as client:
        while True:
            answer = client.get("/v1/datasets", limit=500, **params)
            page = answer.json()
            if as_json:
                click.echo(answer.content)
            items += page["items"]
            if not page["next_cursor"]:
                break
            params["cursor"] = page["next_cursor"]
    if not as_json:
        print_document({}, False, lambda: dataset_table(items))


@dataset.command()
@click.argument("name")
@json_option
@url_option
def show(name: str, as_json: bool, url: str | None) -> None:
    """Show a data set: its images, its factors, and what was odd in its files.

    Example: heddle dataset show faces
    """
    with connect(url) as client:
        answer = client.get(address("datasets", name))
    print_document(answer.content, as_json, lambda: dataset_account(answer.json()))


@dataset.command()
@click.argument("name")
@click.argument("new_name")
@json_option
@url_option
def rename(name: str, new_name: str, as_json: bool, url: str | None) -> None:
    """Rename an uploaded data set. Specs with its former name go on working.

    Example: heddle dataset rename faces portraits
    """
    _change(name, {"name": new_name}, as_json, url)


@dataset.command()
@click.argument("name")
@_words
@click.option("--private/--listed", default=None, help="Whether lists leave it out.")
@json_option
@url_option
def describe(
    name: str,
    description: str | None,
    licence: str | None,
    private: bool | None,
    as_json: bool,
    url: str | None,
) -> None:
    """Change what is said of an uploaded data set.

    Example: heddle dataset describe faces --licence "CC BY 4.0"
    """
    given = {"description": description, "licence": licence, "private": private}
    change = {key: value for key, value in given.items() if value is not None}
    if not change:
        raise click.UsageError("Give --description, --licence, --private or --listed")
    _change(name, change, as_json, url)


@dataset.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@url_option
def delete(name: str, yes: bool, url: str | None) -> None:
    """Delete an uploaded data set that no run uses, with its images, for good.

    Example: heddle dataset delete faces
    """
    with connect(url) as client:
        if not yes:
            found = client.dataset(name)
            what = f"{found['name']} ({found['images'] or 0:,} images)"
            click.confirm(f"Delete the data set {what} for good?", abort=True, err=True)
        client.delete(address("datasets", name))
    say(f"{name} is deleted", err=True)


def _change(name: str, change: dict[str, Any], as_json: bool, url: str | None) -> None:
    with connect(url) as client:
        answer = client.patch(address("datasets", name), change)
    print_document(answer.content, as_json, lambda: dataset_account(answer.json()))


COMMANDS = (dataset,)
