"""Commands that judge a file of codes and factors."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Group

from heddle.cli.option_types import FileOfKind
from heddle.cli.options import all_of, json_option_that, url_option
from heddle.cli.output.account import account_lines, account_title, group_lines
from heddle.cli.output.terminal import print_document, side_console
from heddle.cli.output.work import advice_list, file_score_table
from heddle.client.client import connect
from heddle.local.choice import Choice, Dialect


def _one_character(
    _context: click.Context, _param: click.Parameter, given: str | None
) -> str | None:
    if given == "\\t":
        return "\t"
    if given is not None and len(given) != 1:
        raise click.BadParameter(f"got {given!r}, expected one character")
    return given


class _NumberOrAll(click.ParamType[int | str]):
    """A whole number, or `all`. The server knows which numbers it takes."""

    name = "number or all"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | str:
        if isinstance(value, str) and value.isdecimal():
            return int(value)
        if value != "all":
            self.fail(f"got {value!r}, expected a whole number or all", param, ctx)
        return "all"


#: The options of `score` and `audit` about a file.
_file_options = all_of(
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
        help="Columns of factors; by default all that are not codes.",
    ),
    click.option(
        "--factors-file",
        metavar="FILE",
        type=click.Path(dir_okay=False, path_type=Path),
        help="The file of the factors, if not FILE; it has a row for each row of codes.",
    ),
    click.option(
        "--drop",
        metavar="NAMES",
        default="",
        help="Columns that are neither codes nor factors, as in 'Unnamed: 0'.",
    ),
    click.option(
        "--codes-array",
        metavar="NAME",
        help="Which array of an npz, HDF5 or mat has the codes.",
    ),
    click.option("--factors-array", metavar="NAME", help="Which array has the factors."),
    click.option(
        "--header/--no-header",
        default=None,
        help="Whether a CSV begins with names. If not, columns are called column_0, column_1, …",
    ),
    click.option(
        "--separator",
        metavar="CHARACTER",
        callback=_one_character,
        help="What stands between the cells of a CSV, as in ';'; detected by default.",
    ),
    click.option(
        "--decimal",
        type=click.Choice([".", ","]),
        help="What stands before the fractions in a CSV; detected by default.",
    ),
    click.option(
        "--factor-kinds",
        metavar="KINDS",
        help="discrete or continuous, for all, for each, or as in scale=discrete,x=continuous.",
    ),
    click.option(
        "--groups",
        metavar="GROUPS",
        help="Codes that form one latent: sizes as in 3,2, or names as in 'slot0_*,z4+z5'.",
    ),
    click.option(
        "--group-by",
        type=click.Choice(["principal_component", "importance"]),
        help="How a group becomes one latent; by default by principal_component.",
    ),
    click.option(
        "--train-rows",
        metavar="N",
        type=click.IntRange(min=1),
        help="The first N rows fit predictors, the rest test them; by default three quarters fit.",
    ),
    click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0)),
    json_option_that("Print it all as JSON."),
)


@click.command()
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@_file_options
@click.option(
    "--metrics",
    metavar="NAMES",
    help="Metrics, with params as in dci:predictor=lasso:cv=5. By default mig,sap,dci, or, if a"
    " factor is continuous, mig,sap:predictor=correlation,dci:predictor=lasso.",
)
@click.option(
    "--rows",
    metavar="N",
    type=_NumberOrAll(),
    help="Of a run, how many images are scored (10000), or all for scores without sampling error.",
)
@click.option("--quick", is_flag=True, help="Compute values only: no nulls, no intervals.")
@click.option(
    "--rows-curve",
    is_flag=True,
    help="Draw scores against rows, by ever larger subsamples: do they still climb?",
)
@click.option(
    "--out",
    metavar="FILE",
    type=FileOfKind("png", "svg"),
    help="The picture of --rows-curve, .png or .svg; FILE_rows.png in this folder if absent.",
)
@click.option("--server", is_flag=True, help="Have the server compute them; so does --url.")
@url_option
def score(
    files: tuple[Path, ...],
    train_rows: int | None,
    seed: int,
    metrics: str | None,
    rows: int | str | None,
    quick: bool,
    rows_curve: bool,
    out: tuple[Path, str] | None,
    server: bool,
    as_json: bool,
    url: str | None,
    **choice: Any,
) -> None:
    """Score FILEs of codes and factors that you have, on this machine and without a server.

    FILE is an npz with the arrays codes and factors, the codes.npz of a run, a CSV, TSV or
    Parquet table with one row a sample, an HDF5 or mat file, or an npy of codes with its factors in
    another file. What was understood of it is printed above the scores.

    Several FILEs, or a folder in place of its npz files, are scored one after another. They give
    one table with a row for each, and a file that cannot be scored does not stop the others.

    With the id of a trained run in place of FILE, the server scores that run once more. (The scores
    that a run has are shown by `heddle scores`.) With --rows all, metrics that can score a
    population score every image of the data set, which must be a complete grid.

    Example: heddle score codes.npz --metrics mig,dci:predictor=lasso
    """
    if out is not None and not rows_curve:
        raise click.UsageError("--out is the picture of --rows-curve")
    # Only this command waits for torch.
    from heddle.cli import scoring
    from heddle.local.scoring import FOR_NUMBERS, score_here

    asked = FOR_NUMBERS if metrics is None else scoring.parse_metrics(metrics)
    said = {} if metrics is None else {"metrics": asked}
    spec = {**said, "seed": seed, "train_rows": train_rows, "uncertainty": not quick}
    if len(files) > 1 or _is_folder(files[0]):
        if rows_curve or server or url or rows is not None:
            wrong = "--rows-curve, --server, --url and --rows are for a single file or run"
            raise click.UsageError(wrong)
        _score_several(_all_of(files), spec, _choice(**choice), asked, as_json)
        return
    file = files[0]
    if rows_curve:
        if server or url:
            raise click.UsageError("--rows-curve is computed here; leave out --server and --url")
        _draw_rows_curve(file, spec, _choice(**choice), out, as_json)
        return
    if file.name.startswith("run_") and not file.exists():
        if choice["groups"] is not None:
            raise click.UsageError("Groups of codes are scored of a FILE, not of a run")
        of_run: dict[str, Any] = {**said, "seed": seed, "uncertainty": not quick}
        if rows is not None:
            of_run["rows"] = rows
        with connect(url) as client:
            found = scoring.score_run(client, file.name, of_run, side_console())
    elif rows is not None:
        raise click.UsageError("--rows is for a run; of a file all rows are scored")
    elif server or url:
        with connect(url) as client:
            found = scoring.score_there(client, file, spec, _choice(**choice), side_console())
    else:
        found = score_here(file, spec, _choice(**choice), side_console())
    known = found.understood
    document: dict[str, Any] = {"items": found.scores, "next_cursor": None, "advice": found.advice}
    if known is not None:
        document["understood"] = known

    def shown() -> Group:
        title = file.name if known is None else account_title(file.name, known)
        below = [*account_lines(known), *group_lines(found.scores)]
        table = file_score_table(title, found.scores, asked, below=below)
        return Group(table, advice_list(found.advice))

    print_document(document, as_json, shown)
    if any(one["error"] for one in found.scores):
        sys.exit(1)


def _is_folder(file: Path) -> bool:
    # Unlike Path.is_dir it answers for names that are too long, and in folders that are closed.
    return os.path.isdir(file)  # noqa: PTH112


def _all_of(files: Sequence[Path]) -> list[Path]:
    """The files, with the npz files of a folder in its place, by name."""
    found: list[Path] = []
    for file in files:
        inside = sorted(file.glob("*.npz")) if _is_folder(file) else [file]
        if not inside:
            raise click.UsageError(f"the folder {file} has no npz files")
        found += inside
    return found


def _score_several(
    files: Sequence[Path],
    spec: Mapping[str, Any],
    choice: Choice,
    asked: Sequence[Mapping[str, Any]],
    as_json: bool,
) -> None:
    from heddle.cli.output.several_files import failed, several_files_table
    from heddle.local.scoring import score_all_here

    items = score_all_here(files, spec, choice, side_console())
    document = {"items": items, "next_cursor": None}
    print_document(document, as_json, lambda: several_files_table(items, asked))
    if any(failed(file) for file in items):
        sys.exit(1)


def _draw_rows_curve(
    file: Path,
    spec: Mapping[str, Any],
    choice: Choice,
    out: tuple[Path, str] | None,
    as_json: bool,
) -> None:
    from heddle.cli.output.rows_curve import curve_tables
    from heddle.local.rows_curve import draw_curve

    picture = (Path(f"{file.stem}_rows.png"), "png") if out is None else out
    document = draw_curve(file, spec, choice, side_console(), picture)
    print_document(document, as_json, lambda: curve_tables(document))
    if any(curve["points"][-1]["error"] for curve in document["curves"]):
        sys.exit(1)


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@_file_options
@click.option(
    "--quick",
    is_flag=True,
    help="Leave out random forests and gradient boosting, and nulls and intervals that are costly.",
)
def audit(
    file: Path,
    train_rows: int | None,
    seed: int,
    quick: bool,
    as_json: bool,
    **choice: Any,
) -> None:
    """Set all scores of a FILE of codes and factors beside what public codebases print.

    Where their number is wrong or has another definition, the audit says so, and why. FILE is as in
    `heddle score`. No server is needed.

    Example: heddle audit codes.npz --quick
    """
    from heddle.cli.output.audit import audit_table
    from heddle.local.audit import audit_file  # Only this command waits for torch.

    document = audit_file(
        file,
        _choice(**choice),
        side_console(),
        seed=seed,
        train_rows=train_rows,
        quick=quick,
    )
    print_document(document, as_json, lambda: audit_table(document))
    # Scores of the codes alone stand even if no factor can be judged.
    if all(one["score"]["error"] for one in document["items"] if one["score"]["factors"]):
        sys.exit(1)


def _choice(
    *,
    codes: str,
    factors: str,
    factor_kinds: str | None,
    factors_file: Path | None,
    drop: str,
    codes_array: str | None,
    factors_array: str | None,
    groups: str | None,
    group_by: str | None,
    header: bool | None,
    separator: str | None,
    decimal: str | None,
) -> Choice:
    """The values of `_file_options`."""
    return Choice(
        codes=_names(codes),
        factors=_names(factors),
        kinds=factor_kinds,
        drop=_names(drop),
        factors_file=factors_file,
        codes_array=codes_array,
        factors_array=factors_array,
        groups=groups,
        group_by=group_by,
        dialect=Dialect(separator=separator, decimal=decimal, header=header),
    )


def _names(given: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in given.split(",") if name.strip())


COMMANDS = (score, audit)
