"""Results as files that other programs read: CSV and Parquet."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from fastapi.responses import JSONResponse

from ml.studies.study import Study

Format = Literal["json", "csv", "parquet"]

MEDIA_TYPES: dict[Format, str] = {
    "json": "application/json",
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
}
LARGEST_EXACT = 2**53
"""Integers up to this one are exact as floats."""


def results_bytes(study: Study, format: Format) -> bytes:
    """The results of a study as JSON or as a file."""
    if format == "json":
        return bytes(JSONResponse({"items": study.rows(), "next_cursor": None}).body)
    columns = ["run_id", "state", "train_id", *study.paths, *study.columns, "error"]
    return to_file(study.rows(), columns, format)


def file_name(study: str, format: Format, *, default: str) -> str:
    """A file name made of the study's name, or of the default where nothing of the name is left."""
    name = re.sub(r"[^A-Za-z0-9]+", "-", study).strip("-") or default
    return f"{name}.{format}"


def to_file(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], format: Format) -> bytes:
    """Rows as a file that keeps every digit. A column with values of several types becomes text.

    A CSV keeps text as it is, even if a spreadsheet would take it for a formula. An apostrophe
    before it would become part of the value for every other program.
    """
    table = pa.table({name: _column([row[name] for row in rows]) for name in columns})
    file = io.BytesIO()
    if format == "csv":
        pa.csv.write_csv(table, file)
    else:
        pa.parquet.write_table(table, file)
    return file.getvalue()


def _column(values: Sequence[Any]) -> pa.Array:
    types = {type(value) for value in values if value is not None}
    if types == {bool}:
        return pa.array(values, pa.bool_())
    if types == {int} and all(value is None or abs(value) < 2**63 for value in values):
        return pa.array(values, pa.int64())
    if types <= {int, float} and all(
        not isinstance(value, int) or abs(value) <= LARGEST_EXACT for value in values
    ):
        return pa.array([None if v is None else float(v) for v in values], pa.float64())
    return pa.array([_text(value) for value in values], pa.string())


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)
