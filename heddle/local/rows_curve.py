"""`heddle score FILE --rows-curve`: scores of a file against the number of rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from heddle.errors import SpecError
from heddle.local.bar import Bar
from heddle.local.choice import Choice
from heddle.local.codes_file import read_codes
from heddle.local.scoring import rows_to_score
from ml.evaluation.rows_curve import labels, rows_curve
from ml.plots.protocol import NothingToDraw, to_file
from ml.plots.rows_curve import draw_rows_curve, trend_of


def draw_curve(
    path: Path,
    spec: Mapping[str, Any],
    choice: Choice,
    console: Console,
    out: tuple[Path, str],
) -> dict[str, Any]:
    """Score ever larger parts of a file and write the picture; returns the data as a document.

    Raises:
        SpecError: the file cannot be scored, or not even all of its rows have a score.
    """
    rows, evaluation = rows_to_score(read_codes(path, choice), spec, choice)
    metrics = evaluation.fitting(rows).metrics
    with Bar(console, labels(rows, metrics)) as bar:
        found = rows_curve(rows, metrics, recorder=bar)
    title = f"{path.name}: scores of subsamples of {len(rows):,} rows"
    picture, kind = out
    try:
        figure = draw_rows_curve(found, title)
    except NothingToDraw:
        errors = {point.error for one in found.curves for point in one.points if point.error}
        raise SpecError("There are no scores to draw", detail="; ".join(sorted(errors))) from None
    picture.write_bytes(to_file(figure, "svg" if kind == "svg" else "png"))
    document = found.model_dump(mode="json")
    for of_document, curve in zip(document["curves"], found.curves, strict=True):
        of_document["said"] = trend_of(curve)
    return {"file": path.name, "picture": str(picture), **document}
