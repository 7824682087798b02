"""`heddle score FILE`: scores of a file of codes and factors, computed here or by a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from heddle.errors import HeddleError, SpecError
from heddle.local.bar import Bar
from heddle.local.choice import Choice
from heddle.local.code_groups import with_groups
from heddle.local.codes_file import UnusableFile, errors_of, read_codes
from ml.codes.codes_and_factors import CodesAndFactors
from ml.codes.found_arrays import UnusableArrays
from ml.codes.rows import Rows
from ml.components.spec_errors import InvalidSpec
from ml.evaluation.advice import advise
from ml.evaluation.evaluate import score_rows
from ml.recorder import Progress, Recorder
from ml.spec.evaluation_spec import FOR_NUMBERS as FOR_NUMBERS
from ml.spec.evaluation_spec import FileEvaluation


def rows_to_score(
    arrays: CodesAndFactors, spec: Mapping[str, Any], choice: Choice
) -> tuple[Rows, FileEvaluation]:
    """Return the rows to score and how to score them, both checked. Raises `SpecError`."""
    try:
        evaluation = FileEvaluation.parse(with_groups(spec, choice, arrays))
        return evaluation.rows(arrays), evaluation
    except InvalidSpec as error:
        raise SpecError("These scores cannot be had", errors=errors_of(error.faults)) from error
    except UnusableArrays as error:
        raise UnusableFile("The file cannot be scored", errors=errors_of(error.faults)) from error


class Judged(NamedTuple):
    """Scores, the plain reasons behind odd ones, and what was understood of a file."""

    scores: list[dict[str, Any]]
    advice: list[dict[str, Any]]
    understood: dict[str, Any] | None = None


def score_here(path: Path, spec: Mapping[str, Any], choice: Choice, console: Console) -> Judged:
    """Score a file in this process. A metric that fails gives scores with `error`."""
    arrays = read_codes(path, choice)
    rows, evaluation = rows_to_score(arrays, spec, choice)
    metrics = evaluation.fitting(rows).metrics
    with Bar(console, [metric.name for metric in metrics]) as bar:
        return _scored(rows, arrays, evaluation, bar)


def score_all_here(
    paths: Sequence[Path], spec: Mapping[str, Any], choice: Choice, console: Console
) -> list[dict[str, Any]]:
    """Score several files in this process, one after another.

    Each gives a document: its `file`, its scores (`items`), `advice`, what was `understood` of it,
    and an `error` if it could not be scored, which does not stop the others.

    Raises:
        SpecError: the spec is wrong, whatever the file.
    """
    try:
        FileEvaluation.parse(spec)
    except InvalidSpec as error:
        raise SpecError("These scores cannot be had", errors=errors_of(error.faults)) from error
    found = []
    with Bar(console, [path.name for path in paths]) as bar:
        for done, path in enumerate(paths):
            bar.progress(Progress("scoring", done, len(paths)))
            known: dict[str, Any] = {"items": [], "advice": [], "understood": None, "error": None}
            try:
                arrays = read_codes(path, choice)
                rows, evaluation = rows_to_score(arrays, spec, choice)
                known |= _scored(rows, arrays, evaluation, None)._asdict()
                known["items"] = known.pop("scores")
            except HeddleError as error:
                known["error"] = str(error)
            found.append({"file": str(path), **known})
    return found


def _scored(
    rows: Rows, arrays: CodesAndFactors, evaluation: FileEvaluation, recorder: Recorder | None
) -> Judged:
    metrics = evaluation.fitting(rows).metrics
    scores = score_rows(rows, metrics, uncertainty=evaluation.uncertainty, recorder=recorder)
    return Judged(
        [score.model_dump(mode="json") for score in scores],
        [one.model_dump() for one in advise(scores)],
        understood_of(arrays, evaluation),
    )


def understood_of(arrays: CodesAndFactors, evaluation: FileEvaluation) -> dict[str, Any]:
    """What was understood of a file, in the form in which the server reports it."""
    return evaluation.account(arrays).model_dump(mode="json")
