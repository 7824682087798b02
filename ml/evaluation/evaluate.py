"""Evaluation: scoring encoded rows by every metric that a spec asks for.

A file of codes is scored without torch, whose import takes longer than many a score.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ml.codes.rows import Posteriors
from ml.datasets.dataset import Dataset
from ml.evaluation.score import metric_of, scores_of
from ml.metrics.protocol import Metric, Rows, Score
from ml.recorder import Progress, Recorder, Silent, continue_or_stop
from ml.spec.parts import Evaluation

if TYPE_CHECKING:
    from ml.evaluation.encode import EncodedRows
    from ml.evaluation.population import GridCodes
    from ml.networks.model import Model


def evaluate(
    model: Model,
    dataset: Dataset,
    metrics: Sequence[str | Mapping[str, Any] | Metric],
    *,
    codes: Sequence[Literal["mean", "sample"]] = ("mean",),
    rows: int | Literal["all"] = 10_000,
    test_rows: int = 5_000,
    seed: int = 0,
    uncertainty: bool = True,
    recorder: Recorder | None = None,
) -> list[Score]:
    """Encode rows of a data set and score the codes.

    The keyword arguments are those of a spec's evaluation. A metric that cannot be computed gives
    scores with an `error`, and does not affect the others.

    Raises:
        UnknownComponent, InvalidSpec: a metric's name or params are wrong.
        NoPopulation: `rows` are "all", but the data set is no complete grid.
    """
    from ml.evaluation.encode import encode_rows
    from ml.evaluation.population import encode_grid

    given = [metric_of(metric).model_dump() for metric in metrics]
    evaluation = Evaluation.model_validate(
        {
            "metrics": given,
            "codes": list(codes),
            "rows": rows,
            "test_rows": test_rows,
            "seed": seed,
            "uncertainty": uncertainty,
        }
    )
    if evaluation.rows == "all":
        dataset.check_population()
    grid = None
    if evaluation.scores_population():
        grid = encode_grid(model, dataset, recorder=recorder)
    encoded = encode_rows(model, dataset, evaluation, recorder)
    return score_encoded(encoded, evaluation, dataset, recorder, grid=grid)


def score_encoded(
    encoded: EncodedRows,
    evaluation: Evaluation,
    data: Dataset,
    recorder: Recorder | None = None,
    *,
    grid: GridCodes | None = None,
) -> list[Score]:
    """Score encoded rows of a data set.

    With codes of its whole `grid`, metrics that can score a population score the means of those
    instead, or the posteriors. Posterior samples are random whichever images are scored, so only
    rows are scored.

    Factors that have a single value in the data set are left out, and the scores say so. A factor
    has one if images were chosen by its value.

    Raises:
        Stopped: the recorder wished to stop, within a metric or between two.
    """
    from ml.evaluation.population import population_rows

    scores: list[Score] = []
    for kind in evaluation.codes:
        # Numbers of the posterior itself do not depend on which codes are scored.
        metrics = [
            metric
            for metric in evaluation.metrics
            if metric.needs == "rows" or kind == evaluation.codes[0]
        ]
        rows = _rows(encoded, kind, data, evaluation.seed)
        parts = {
            "all": rows.only(slice(0, rows.train)),
            "split": rows,
            "test": rows.only(slice(rows.train, len(rows))),
        }
        if grid is not None:
            parts["population"] = population_rows(grid, data, evaluation.seed)
        scores += _score_parts(
            parts, metrics, kind, uncertainty=evaluation.uncertainty, recorder=recorder
        )
    return [score.model_copy(update={"images": evaluation.images}) for score in scores]


def score_rows(
    rows: Rows,
    metrics: Sequence[Metric],
    *,
    codes: Literal["mean", "sample"] = "mean",
    uncertainty: bool = True,
    recorder: Recorder | None = None,
) -> list[Score]:
    """Score rows from any source. An error of a metric becomes the `error` of its scores.

    Metrics without a split use all rows.

    Raises:
        Stopped: the recorder wished to stop, within a metric or between two.
    """
    parts = dict.fromkeys(("all", "split", "test"), rows)
    return _score_parts(parts, metrics, codes, uncertainty=uncertainty, recorder=recorder)


def _score_parts(
    parts: Mapping[str, Rows],
    metrics: Sequence[Metric],
    codes: Literal["mean", "sample"],
    *,
    uncertainty: bool,
    recorder: Recorder | None,
) -> list[Score]:
    recorder = recorder or Silent()
    scores: list[Score] = []

    def report() -> None:
        continue_or_stop(recorder.progress(Progress("scoring", done, len(metrics))))

    parts = {
        part: replace(rows, continue_or_stop=report, threads=_threads())
        for part, rows in parts.items()
    }
    for done, metric in enumerate(metrics):  # noqa: B007 (read by `report`)
        report()
        of_all = "population" in parts and metric.scores_populations(codes)
        part = parts["population" if of_all else metric.uses]
        scores += scores_of(metric, part, codes=codes, uncertainty=uncertainty)
    continue_or_stop(recorder.progress(Progress("scoring", len(metrics), len(metrics))))
    return scores


def _threads() -> int:
    """How many threads torch computes with; where it is not loaded, how many it would."""
    if "torch" in sys.modules:
        import torch

        return torch.get_num_threads()
    wished = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if wished.isdecimal() and int(wished):
        return int(wished)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _rows(
    encoded: EncodedRows,
    kind: Literal["mean", "sample"],
    data: Dataset,
    seed: int,
) -> Rows:
    codes: np.ndarray = encoded.mean if kind == "mean" else encoded.sample
    # Without a labelled image the rows have no factors, though the data set may name some.
    known = encoded.factors.shape[1]
    posteriors = Posteriors(encoded.mean, encoded.log_variance, encoded.sample)
    rows = Rows(
        codes,
        encoded.factors,
        data.factor_names[:known],
        data.factor_kinds[:known],
        int(encoded.train_rows),
        seed,
        encoded.kl,
        encoded.reconstruction,
        # An encoder without noise has a log variance of minus infinity.
        posteriors if np.isfinite(encoded.log_variance).all() else None,
        data.factor_sizes[:known],
        available=len(data.labelled()) or len(data),
    )
    return rows.without_single_valued(data.factor_sizes[:known])
