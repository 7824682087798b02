"""Answers with data sets: lists of all of them, one of them, and its factors as a table."""

from __future__ import annotations

import base64
import binascii
import csv
import io
from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np

from api.documents.base import Page
from api.documents.datasets import DatasetDocument, built_in_document, uploaded_document
from api.state.context import Context
from api.state.uploaded import dataset_named
from ml.components.registry import UnknownComponent, components
from ml.datasets.dataset import UNKNOWN, Dataset
from ml.datasets.protocol import DatasetComponent, MissingFile, UnusableFile
from ml.spec.uploaded import TABLE
from store.datasets import find_dataset, list_datasets
from store.errors import BadCursor, NotFound

ROWS_AT_ONCE = 4096
_BUILT_IN = "built-in:"


class NoFactors(Exception):
    """The factors of a data set were asked for, and none are known."""

    def __init__(self, name: str) -> None:
        super().__init__(f"No factors are known of the data set {name!r}.")


def dataset_page(
    here: Context, *, private: bool, limit: int, cursor: str | None
) -> Page[DatasetDocument]:
    """A page of the data sets: uploaded ones, the newest first, then those that come with Heddle.

    Raises:
        BadCursor: the cursor is not one that this list gave.
    """
    items: list[DatasetDocument] = []
    after = _built_in_after(cursor)
    if after is None:
        found = list_datasets(here.database, private=private, limit=limit, cursor=cursor)
        items += map(uploaded_document, found.items)
        if found.next_cursor is not None:
            return Page(items=items, next_cursor=found.next_cursor)
    ours = [name for name in components("dataset") if name != TABLE and name > (after or "")]
    shown = ours[: limit - len(items)]
    items += [built_in_document(_component(name), None, []) for name in shown]
    more = len(ours) > len(shown)
    return Page(items=items, next_cursor=_cursor(shown[-1] if shown else "") if more else None)


def whole_dataset(here: Context, name: str) -> DatasetDocument:
    """One data set. One that comes with Heddle is opened, which may take long the first time.

    Raises:
        UnknownComponent: there is none of this name.
    """
    try:
        return uploaded_document(find_dataset(here.database, name))
    except NotFound:
        pass
    if name not in components("dataset"):
        # This names those that there are.
        dataset_named(here.database, name)
        raise UnknownComponent("dataset", name, components("dataset"))
    component = _component(name)
    try:
        params = component.model_validate({"name": name})
    except ValueError:
        return built_in_document(component, None, [])
    try:
        return built_in_document(component, params.open(), [])
    except (MissingFile, UnusableFile) as error:
        return built_in_document(component, None, [f"It cannot be read here: {error}."])


def factor_table(data: Dataset) -> Iterator[str]:
    """The factors of all images as CSV, in parts. A row belongs to an image, in their order.

    Values are called as in the file that was sent. A cell is empty where a factor is not known.

    Raises:
        NoFactors: none are known of any image.
    """
    if data.labels is None or not data.factor_names:
        raise NoFactors(data.name)
    return _parts(data)


def _parts(data: Dataset) -> Iterator[str]:
    yield _written([data.factor_names])
    for start in range(0, len(data), ROWS_AT_ONCE):
        factors = data.factors(slice(start, min(start + ROWS_AT_ONCE, len(data))))
        assert factors is not None
        columns = [_column(data, place, factors[:, place]) for place in range(factors.shape[1])]
        yield _written(zip(*columns, strict=True))


def _column(data: Dataset, place: int, values: np.ndarray) -> list[str]:
    if data.factor_kinds[place] == "continuous":
        return ["" if np.isnan(value) else repr(float(value)) for value in values]
    names: Sequence[str] | None = data.factor_values.get(data.factor_names[place])
    numbers = ("" if np.isnan(v) or v == UNKNOWN else int(v) for v in values)
    return [
        "" if number == "" else str(number) if names is None else names[cast(int, number)]
        for number in numbers
    ]


def _written(rows: object) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(cast(list[list[str]], rows))
    return text.getvalue()


def _component(name: str) -> type[DatasetComponent]:
    component = components("dataset")[name]
    assert issubclass(component, DatasetComponent)
    return component


def _cursor(name: str) -> str:
    return base64.urlsafe_b64encode(f"{_BUILT_IN}{name}".encode()).decode()


def _built_in_after(cursor: str | None) -> str | None:
    """The name after which data sets that come with Heddle go on; None before the first."""
    try:
        text = base64.urlsafe_b64decode((cursor or "").encode("ascii")).decode("ascii")
    except (UnicodeError, binascii.Error):
        return None
    if not text.startswith(_BUILT_IN):
        return None
    name = text.removeprefix(_BUILT_IN)
    if _cursor(name) != cursor or (name and name not in components("dataset")):
        raise BadCursor(cursor or "")
    return name
