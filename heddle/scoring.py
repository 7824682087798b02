"""`heddle score FILE`: scores of a file of codes and factors, computed here or by a server."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from rich.console import Console
from rich.text import Text

from heddle.client import Client
from heddle.codes_file import Choice, UnusableFile, read_codes, told, write_npz
from heddle.errors import SpecError
from heddle.scoring_bar import Bar
from heddle.spec import parse_yaml
from heddle.terminal import Terminal
from heddle.work import Evaluation
from ml.advice import advise
from ml.arrays_file import LONGEST_NAME, CodesAndFactors, UnusableArrays
from ml.evaluate import score_rows
from ml.evaluation_spec import FileEvaluation
from ml.file_account import account_of
from ml.rows import Rows
from ml.spec_errors import InvalidSpec


def parse_metrics(text: str) -> list[dict[str, Any]]:
    """`mig,dci:predictor=lasso:cv=5` as a spec's list of metrics; values are YAML.

    Raises:
        SpecError: a param has no `=`, or no metric is named.
    """
    metrics = []
    for part in filter(None, text.split(",")):
        name, *params = part.strip().split(":")
        metric: dict[str, Any] = {"name": name}
        for param in params:
            key, equals, value = param.partition("=")
            if not equals:
                raise SpecError(f"Got {param!r} in the metric {part!r}, expected param=value")
            metric[key] = parse_yaml(value, f"the value of {key} in {part!r}")
        metrics.append(metric)
    if not metrics:
        raise SpecError("Got no metric, expected some as in mig,dci:predictor=lasso")
    return metrics


def rows_to_score(arrays: CodesAndFactors, spec: Mapping[str, Any]) -> tuple[Rows, FileEvaluation]:
    """The rows and what to do with them, both checked. Raises `SpecError`."""
    try:
        evaluation = FileEvaluation.parse(spec)
        return evaluation.rows(arrays), evaluation
    except InvalidSpec as error:
        raise SpecError("These scores cannot be had", errors=told(error.faults)) from error
    except UnusableArrays as error:
        raise UnusableFile("The file cannot be scored", errors=told(error.faults)) from error


class Judged(NamedTuple):
    """Scores, the plain reasons behind odd ones, and what was understood of a file."""

    scores: list[dict[str, Any]]
    advice: list[dict[str, Any]]
    understood: dict[str, Any] | None = None


def score_here(path: Path, spec: Mapping[str, Any], choice: Choice, console: Console) -> Judged:
    """Score a file in this process; a metric that fails gives Scores with `error`."""
    arrays = read_codes(path, choice)
    rows, evaluation = rows_to_score(arrays, spec)
    with Bar(console, [metric.name for metric in evaluation.metrics]) as bar:
        scores = score_rows(
            rows, evaluation.metrics, uncertainty=evaluation.uncertainty, recorder=bar
        )
    return Judged(
        [score.model_dump(mode="json") for score in scores],
        [one.model_dump() for one in advise(scores)],
        understood_of(rows, arrays),
    )


def understood_of(rows: Rows, arrays: CodesAndFactors) -> dict[str, Any]:
    """What was understood of a file, as the service says it of one that it was sent."""
    account = account_of(rows, left_aside=arrays.left_aside, assumed=arrays.assumptions())
    return account.model_dump(mode="json")


def score_there(
    client: Client, path: Path, spec: Mapping[str, Any], choice: Choice, console: Console
) -> Judged:
    """Post a file to a server and wait for its scores; other files are sent as an npz.

    What was understood of it comes beside them: as the server says of an npz that is sent as it
    is, else as it was read here.

    Raises:
        HeddleError: the server refused it, or the evaluation failed as a whole.
    """
    with TemporaryDirectory() as folder, console.status(Text(f"{path.name} at {client.url}")):
        sent, understood = path, None
        if choice or path.suffix.lower() != ".npz":
            sent = Path(folder) / f"{path.stem}.npz"
            arrays = read_codes(path, choice)
            understood = understood_of(rows_to_score(arrays, spec)[0], arrays)
            write_npz(sent, arrays)
        named = {**spec, "name": path.name[:LONGEST_NAME]}
        evaluation = client.evaluate_file(sent, named)
        understood = understood or evaluation.document.get("understood")
        return _waited_for(evaluation)._replace(understood=understood)


def score_run(client: Client, run_id: str, spec: Mapping[str, Any], console: Console) -> Judged:
    """Have a server score a trained run once more, and wait for it; its old scores stay."""
    with console.status(Text(f"{run_id} at {client.url}")):
        return _waited_for(client.evaluate_run(run_id, spec))


def _waited_for(evaluation: Evaluation) -> Judged:
    try:
        done = evaluation.wait()
        return Judged(done.scores(), done.advice())
    except KeyboardInterrupt:
        told = f"{evaluation.id} goes on; heddle cancel {evaluation.id} stops it."
        Terminal(stderr=True).print(Text(told))
        raise
