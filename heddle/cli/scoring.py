"""`heddle score`: reading of its metrics, and scores that a server computes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.text import Text

from heddle.cli.output.terminal import side_console
from heddle.client.client import Client
from heddle.client.resources import Evaluation
from heddle.client.spec import parse_yaml
from heddle.errors import SpecError
from heddle.local.choice import Choice
from heddle.local.code_groups import with_groups
from heddle.local.codes_file import name_of, read_codes, write_npz
from heddle.local.scoring import Judged, rows_to_score, understood_of


def parse_metrics(text: str) -> list[dict[str, Any]]:
    """Read `mig,dci:predictor=lasso:cv=5` as the metrics of a spec; values are YAML.

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


def score_there(
    client: Client, path: Path, spec: Mapping[str, Any], choice: Choice, console: Console
) -> Judged:
    """Post a file to a server and wait for its scores.

    An npz is sent as it is, if `choice` is empty, and the server reports what it understood of it.
    Any other file is read here and sent as an npz.

    Raises:
        HeddleError: the server refused it, or the evaluation failed as a whole.
    """
    with TemporaryDirectory() as folder, console.status(Text(f"{path.name} at {client.url}")):
        sent, understood = path, None
        if choice or path.suffix.lower() != ".npz":
            sent = Path(folder) / f"{path.stem}.npz"
            arrays = read_codes(path, choice)
            understood = understood_of(arrays, rows_to_score(arrays, spec, choice)[1])
            spec = with_groups(spec, choice, arrays)
            write_npz(sent, arrays)
        named = {**spec, "name": name_of(path)}
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
        line = f"{evaluation.id} goes on; heddle cancel {evaluation.id} stops it."
        side_console().print(Text(line))
        raise
