"""`heddle audit FILE`: our scores of a file beside what public codebases print."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console

from heddle.local.bar import Bar
from heddle.local.choice import Choice
from heddle.local.codes_file import read_codes
from heddle.local.scoring import rows_to_score, understood_of
from ml.evaluation.audit import audit, metrics_of


def audit_file(
    path: Path, choice: Choice, console: Console, *, seed: int, train_rows: int | None, quick: bool
) -> dict[str, Any]:
    """Audit a file; returns a document, see `ml.evaluation.audit.Audit`. Raises `SpecError`."""
    spec = {"metrics": [], "seed": seed, "train_rows": train_rows}
    arrays = read_codes(path, choice)
    rows, evaluation = rows_to_score(arrays, spec, choice)
    names = [" ".join(map(str, asked.values())) for asked in metrics_of(rows, quick=quick)]
    with Bar(console, names) as bar:
        found = audit(rows, quick=quick, recorder=bar)
    understood = understood_of(arrays, evaluation)
    return {"file": path.name, "understood": understood, **found.model_dump(mode="json")}
