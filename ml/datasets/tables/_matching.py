"""Which row of a table belongs to which image."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ml.components.registry import nearest
from ml.components.spec_errors import shown
from ml.datasets.tables._columns import Columns
from ml.datasets.tables._pictures import SUFFIXES
from ml.datasets.tables.options import unusable

NONE = -1
_FOLDER = "class"
_DIGITS = re.compile("[0-9]{1,15}")
_AS_FILES = frozenset(
    (
        *("file", "files", "filename", "file_name", "file name", "path", "file_path", "filepath"),
        *(
            "image",
            "image_id",
            "imageid",
            "image_name",
            "image_path",
            "img",
            "img_id",
            "id",
            "name",
        ),
    )
)
"""Names of columns that may have the names of files as numbers, in small letters."""


class Matched(NamedTuple):
    """The table's columns in the order of the images."""

    columns: dict[str, NDArray[Any]]
    """Floats, of which NaN is unknown, or text, of which the empty text is unknown."""
    taken: list[str]
    odd: list[str]


def matched(
    columns: Columns,
    names: Sequence[str] | None,
    count: int,
    index_column: str | None,
    *,
    folder: str = "",
) -> Matched:
    """The columns with a value for each image.

    Images that have names are found by the column of the table that has these names. Images of an
    array, and images whose table has no such column, are in the order of the table's rows. The
    table may name images with the `folder` that their own names leave out.
    """
    by_name = None if names is None else _name_column(columns, names, index_column, folder)
    if names is not None and by_name is not None:
        return _by_name(columns, names, by_name)
    if columns.rows != count:
        expected = f"{count} rows, one for each image"
        if names is not None:
            expected += ", or a column of the images' file names"
        raise unusable("factors", f"{columns.rows} rows", expected)
    taken = list(columns.taken)
    if names is not None:
        # The names are in natural order. If text sorts otherwise, the table may be in either order.
        if list(names) != sorted(names):
            got = "names that sort in two ways, as 2.png and 10.png"
            raise unusable("factors", got, "a column of the images' file names")
        for name, column in columns.columns.items():
            if column.dtype.kind == "U" and len(set(column.tolist())) == count > 1:
                got = f"{shown(str(column[0]))} in a column that differs in each row"
                expected = f"names of the images, as {shown(names[0])}"
                raise unusable(f"factors.{shown(name)}", got, expected)
        taken.append("the rows of the table were taken in the order of the sorted file names")
    return Matched(columns.columns, taken, [])


def _name_column(
    columns: Columns, names: Sequence[str], given: str | None, folder: str
) -> tuple[str, dict[str, int]] | None:
    """The column of file names, and the images by what the column calls them."""
    text = {name: c for name, c in columns.columns.items() if c.dtype.kind == "U"}
    if given is not None:
        if given not in columns.columns:
            known = ", ".join(columns.columns)
            hint = nearest(given, columns.columns)
            raise unusable("index_column", given, f"a column of the table ({hint or known})")
        text = {given: text[given]} if given in text else {}
    # Names of digits alone were read as numbers.
    digits = {
        name: np.array([_digits(value) for value in column.tolist()], dtype=np.str_)
        for name, column in columns.columns.items()
        if column.dtype.kind != "U"
        and (name == given or (given is None and name.casefold() in _AS_FILES))
    }
    found = []
    for name, column in (*text.items(), *digits.items()):
        cells = column.tolist()
        # A class may be called as an image is without its suffix, but classes are repeated.
        bare = given is not None or len(set(cells)) == len(cells) or name.casefold() in _AS_FILES
        for keys in _keys(names, folder, bare=bare) if name in text else _number_keys(names):
            hits = sum(_plain_path(cell) in keys for cell in cells)
            if hits and (given is not None or 2 * hits >= len(column)):
                found.append((name, keys))
                break
    if given is not None and not found:
        got = shown(str(columns.columns[given][0])) if columns.rows else "no row"
        raise unusable("index_column", got, f"names of the images, as {shown(names[0])}")
    if len(found) > 1:
        several = ", ".join(name for name, _ in found)
        raise unusable("index_column", None, f"the column of file names, one of {several}")
    if not found:
        for name, column in text.items():
            if any(cell.lower().endswith(SUFFIXES) for cell in column.tolist()):
                got = shown(next(c for c in column.tolist() if c.lower().endswith(SUFFIXES)))
                expected = f"names of the images, as {shown(names[0])}"
                raise unusable(f"factors.{shown(name)}", got, expected)
        return None
    return found[0]


def _keys(names: Sequence[str], folder: str, *, bare: bool) -> list[dict[str, int]]:
    """The images by their whole paths, by their last names, and by these without suffixes (`bare`).

    A last name that several images have names none of them.
    """
    ways = [
        list(names),
        [f"{folder}/{name}" for name in names],
        [PurePosixPath(name).name for name in names],
        [PurePosixPath(name).stem for name in names],
    ]
    found = []
    for way in ways if bare else ways[:3]:
        keys = {key: k for k, key in enumerate(way)}
        if len(keys) == len(names):
            found.append(keys)
    return found


def _digits(value: float) -> str:
    return str(int(value)) if np.isfinite(value) and value == int(value) else str(value)


def _number_keys(names: Sequence[str]) -> list[dict[str, int]]:
    """The images by the numbers that they are called, without zeros before: `7` for `007.png`."""
    stems = [PurePosixPath(name).stem for name in names]
    keys = {str(int(stem)): k for k, stem in enumerate(stems) if _DIGITS.fullmatch(stem)}
    return [keys] if len(keys) == len(names) else []


def _plain_path(cell: str) -> str:
    return cell.replace("\\", "/").removeprefix("./")


def _by_name(
    columns: Columns, names: Sequence[str], by_name: tuple[str, dict[str, int]]
) -> Matched:
    column, keys = by_name
    cells = [_plain_path(cell) for cell in np.asarray(columns.columns[column]).astype(str).tolist()]
    if columns.columns[column].dtype.kind != "U":
        cells = [_digits(value) for value in columns.columns[column].tolist()]
    row_of = np.full(len(names), NONE, dtype=np.int64)
    without_image = []
    for row, cell in enumerate(cells):
        image = keys.get(cell)
        if image is None:
            without_image.append(cell)
        elif row_of[image] != NONE:
            raise unusable(f"factors.{shown(column)}", f"{shown(cell)} twice", "each image once")
        else:
            row_of[image] = row
    if 2 * len(without_image) > len(cells):
        got = f"{len(without_image)} of {len(cells)} rows, as {shown(without_image[0])}"
        raise unusable(f"factors.{shown(column)}", got, "rows that name images")
    taken = [*columns.taken, f"{column}: the images' file names"]
    odd = []
    if without_image:
        odd.append(f"{len(without_image)} rows name no image, as {shown(without_image[0])}")
    has_row = row_of != NONE
    if not has_row.all():
        first = names[int(np.flatnonzero(~has_row)[0])]
        odd.append(f"{int((~has_row).sum())} images have no row, as {shown(first)}")
    rest = {name: c for name, c in columns.columns.items() if name != column}
    return Matched({name: _in_order(c, row_of, has_row) for name, c in rest.items()}, taken, odd)


def _in_order(
    column: NDArray[Any], row_of: NDArray[np.int64], has_row: NDArray[np.bool_]
) -> NDArray[Any]:
    unknown: Any = "" if column.dtype.kind == "U" else np.nan
    found = np.full(len(row_of), unknown, dtype=column.dtype)
    found[has_row] = column[row_of[has_row]]
    return found


def of_folders(names: Sequence[str]) -> Matched | None:
    """Factors from the folders that images lie in; None if they lie in one.

    Folders named `colour=red` are values of the factor `colour`. Otherwise each level of folders is
    a factor: `class`, or `folder_1`, `folder_2`, … if there are several.
    """
    parts = [PurePosixPath(name).parts[:-1] for name in names]
    if len({len(part) for part in parts}) > 1:
        return Matched({}, [], ["folders of different depths were taken for no factors"])
    if not parts[0] or len(set(parts)) < 2:
        return None
    pairs: list[Mapping[str, str]] = []
    for folders in parts:
        split = [folder.partition("=") for folder in folders]
        pairs.append({name: value for name, _, value in split if value})
    order = list(pairs[0])
    if len(order) == len(parts[0]) and all(list(pair) == order for pair in pairs):
        columns = {name: np.array([pair[name] for pair in pairs]) for name in order}
    else:
        depth = len(parts[0])
        called = [_FOLDER] if depth == 1 else [f"folder_{k + 1}" for k in range(depth)]
        columns = {name: np.array([p[k] for p in parts]) for k, name in enumerate(called)}
    return Matched(columns, [f"factors: the names of the folders, {', '.join(columns)}"], [])
