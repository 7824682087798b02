"""Scores against rows."""

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import numpy as np
import pytest

from ml.codes.checked_rows import rows_of
from ml.codes.rows import Rows
from ml.evaluation.rows_curve import labels, rows_curve, sizes_of, subsample
from ml.evaluation.score import metric_of
from ml.metrics.protocol import Metric, Number, Value
from ml.plots.protocol import NothingToDraw, png
from ml.plots.rows_curve import draw_rows_curve, trend_of
from ml.recorder import Progress, Silent, Wish


class OfRows(Metric):
    """Scores that are a function of the number of rows."""

    name: Literal["of_rows"] = "of_rows"
    numbers: ClassVar[Sequence[Number]] = (Number("rising"), Number("still"), Number("mean"))

    def compute(self, rows: Rows) -> Mapping[str, Value]:  # type: ignore[override]
        if len(rows) < 150:
            raise ValueError("too few")
        rising = 1 - 10 / len(rows)
        return {"rising": Value(rising), "still": Value(0.5), "mean": Value(rows.codes.mean())}


def normal(rows: int, **options: int) -> Rows:
    draws = np.random.default_rng(3)
    return rows_of(draws.normal(size=(rows, 1)), draws.integers(0, 3, (rows, 1)), **options)


def test_sizes_are_doubled_and_the_last_step_is_no_small_one() -> None:
    assert sizes_of(1000) == [100, 200, 400, 1000]
    assert sizes_of(1200) == [100, 200, 400, 800, 1200]
    assert sizes_of(149) == [149]
    assert sizes_of(30) == [30]


def test_a_score_that_climbs_is_told_from_one_that_is_still() -> None:
    found = {one.name: one for one in rows_curve(normal(400), [OfRows()]).curves}
    rising = found["rising"]
    assert (rising.trend, rising.change_from) == ("climbs", 200)
    assert rising.change == pytest.approx(10 / 200 - 10 / 400)
    assert trend_of(rising) == "still climbs: +0.025 from 200 to 400 rows"
    assert found["still"].trend == "level" and trend_of(found["still"]) == "level from 200 rows on"
    assert [point.error for point in rising.points] == ["ValueError: too few", None, None]
    assert [len(point.values) for point in rising.points] == [0, 5, 1]


def test_deviations_are_those_of_fresh_draws() -> None:
    # The mean of m of N values drawn without replacement has the variance (1 - m / N) / m.
    (curve,) = (
        one
        for one in rows_curve(normal(2000), [OfRows()], sizes=[1000, 2000], draws=400).curves
        if one.name == "mean"
    )
    point, last = curve.points
    assert np.std(point.values) == pytest.approx(math.sqrt(0.5 / 1000), rel=0.15)
    assert point.std == pytest.approx(math.sqrt(1 / 1000), rel=0.15)
    assert last.std is None and curve.trend == "level"


def test_subsamples_keep_proportions_and_whole_blocks() -> None:
    draws = np.random.default_rng(0)
    codes, factors = draws.normal(size=(300, 2)), draws.integers(0, 4, (300, 2))
    rows = rows_of(np.repeat(codes, 2, 0), np.repeat(factors, 2, 0), train_rows=400)
    found = subsample(rows, 150, 0)
    assert (len(found), found.train) == (150, 100)
    assert len(np.unique(found.codes, axis=0)) == 75
    assert not np.array_equal(subsample(rows, 150, 1).codes, found.codes)
    assert np.array_equal(subsample(rows, 150, 0).codes, found.codes)
    assert subsample(rows, 600, 0) is rows


def test_cheap_metrics_have_a_null_and_the_progress_has_a_label_for_each_step() -> None:
    draws = np.random.default_rng(0)
    factors = draws.integers(0, 4, (300, 2))
    rows = rows_of(factors + 0.1 * draws.normal(size=(300, 2)), factors)
    seen: list[Progress] = []

    class Seeing(Silent):
        def progress(self, progress: Progress) -> Wish:
            seen.append(progress)
            return Wish.CONTINUE

    metrics = [metric_of({"name": "dci", "predictor": "linear"}), metric_of("mig")]
    found = rows_curve(rows, metrics, recorder=Seeing())
    assert [one.name for one in found.curves] == [
        "disentanglement",
        "completeness",
        "informativeness",
        "mig",
    ]
    for point in found.curves[-1].points:
        assert len(point.null) == 5 and max(point.null) < 0.2 < min(point.values)
    names = labels(rows, metrics)
    assert {one.steps for one in seen} == {len(names)} and seen[-1].step == len(names) == 22
    assert names[0] == "dci, 100 rows" and names[-1] == "mig, 300 rows"
    assert rows_curve(rows, metrics) == found
    assert png(draw_rows_curve(found, "a $title$")).startswith(b"\x89PNG")


def test_without_a_score_there_is_nothing_to_draw() -> None:
    with pytest.raises(NothingToDraw):
        draw_rows_curve(rows_curve(normal(120), [OfRows()]), "")
