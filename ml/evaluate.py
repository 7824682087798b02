"""Evaluation: every metric that a spec asks for, on the rows that a model encoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from ml.dataset import Dataset
from ml.encode import EncodedRows, encode_rows
from ml.metric import FactorKind, Metric, Rows, Score
from ml.model import Model
from ml.recorder import Progress, Recorder, Silent, continue_or_stop
from ml.score import metric_of, scores_of
from ml.spec import Evaluation


def evaluate(
    model: Model,
    dataset: Dataset,
    metrics: Sequence[str | Mapping[str, Any] | Metric],
    *,
    codes: Sequence[Literal["mean", "sample"]] = ("mean",),
    rows: int = 10_000,
    test_rows: int = 5_000,
    seed: int = 0,
    recorder: Recorder | None = None,
) -> list[Score]:
    """Encode rows of a data set and score the codes; parameters are those of a spec's evaluation.

    A metric that cannot be computed gives Scores with `error`; the others are not touched by it.

    Raises:
        UnknownComponent, InvalidSpec: a metric's name or params are wrong.
    """
    given = [metric_of(metric).model_dump() for metric in metrics]
    evaluation = Evaluation.model_validate(
        {
            "metrics": given,
            "codes": list(codes),
            "rows": rows,
            "test_rows": test_rows,
            "seed": seed,
        }
    )
    encoded = encode_rows(model, dataset, evaluation, recorder)
    return score_encoded(encoded, evaluation, dataset.factor_names, recorder)


def score_encoded(
    encoded: EncodedRows,
    evaluation: Evaluation,
    factor_names: tuple[str, ...],
    recorder: Recorder | None = None,
) -> list[Score]:
    """Score rows that are encoded already. Raises `Stopped` between two metrics."""
    recorder = recorder or Silent()
    scores: list[Score] = []
    work = [
        (kind, metric)
        for kind in evaluation.codes
        for metric in evaluation.metrics
        # What the posterior itself tells does not depend on which codes are scored.
        if metric.needs == "rows" or kind == evaluation.codes[0]
    ]
    for done, (kind, metric) in enumerate(work):
        continue_or_stop(recorder.progress(Progress("scoring", done, len(work))))
        rows = _rows(encoded, kind, factor_names, evaluation.seed)
        scores += scores_of(metric, rows.only(_part(metric, rows)), codes=kind)
    continue_or_stop(recorder.progress(Progress("scoring", len(work), len(work))))
    return scores


def _part(metric: Metric, rows: Rows) -> slice:
    """Which of an evaluation's rows a metric takes: one sample, both parts, or the test part."""
    parts = {
        "all": slice(0, rows.train),
        "split": slice(0, len(rows)),
        "test": slice(rows.train, len(rows)),
    }
    return parts[metric.uses]


def _rows(
    encoded: EncodedRows,
    kind: Literal["mean", "sample"],
    factor_names: tuple[str, ...],
    seed: int,
) -> Rows:
    codes: np.ndarray = encoded.mean if kind == "mean" else encoded.sample
    kinds: tuple[FactorKind, ...] = tuple("discrete" for _ in factor_names)
    return Rows(
        codes,
        encoded.factors,
        factor_names,
        kinds,
        int(encoded.train_rows),
        seed,
        encoded.kl,
        encoded.reconstruction,
    )
