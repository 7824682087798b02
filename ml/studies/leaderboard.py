"""The leaderboard: settings ranked by their scores, one table for each set of comparable scores."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from ml.components.described import Described
from ml.metrics.protocol import Score
from ml.reproducibility.canonical_json import canonical_json
from ml.studies.chosen import chosen, deciding
from ml.studies.chosen_data import chosen_data
from ml.studies.comparable import Comparing, alike, depends_on
from ml.studies.values import ENOUGH_SEEDS


class LeaderboardEntry(Described):
    """One setting, with its runs: they differ only in the seed."""

    rank: int
    """1 is best; settings with equal medians share a rank."""
    objective: str
    setting: dict[str, Any]
    """Dotted path to value: all values of the objective, and those of model and training that
    differ from their defaults."""
    seeds: int
    """How many seeds the runs with a value have."""
    enough_seeds: bool
    """Whether there are five seeds or more: a median over fewer says little."""
    median: float
    best: float
    worst: float
    null_mean: float | None
    """Mean of the runs' nulls: the score of such codes if they knew nothing of the factors."""
    run_ids: list[str]
    """The setting's runs, the best first."""


class Table(Described):
    """Settings that have the same number of a metric, computed in the same way on the same data."""

    metric: str
    name: str
    """The name of the metric's number."""
    definition: str
    """Name and version of the metric. Numbers of two versions do not compare."""
    params: dict[str, Any]
    codes: Literal["mean", "sample"]
    rows: int
    train_rows: int | None
    """How many of the rows predictors were fitted on; null if the rows were not split."""
    factors: list[str] | None
    """The factors that were judged; null where the number needs none."""
    dataset: dict[str, Any]
    """Params of the data set that differ from their defaults."""
    depends_on: dict[str, Any]
    """What else the number depends on: a reconstruction on `likelihood` and `pixel_deviation`.
    Empty for most numbers."""
    higher_is_better: bool
    entries: list[LeaderboardEntry]


def leaderboard(
    scores: Iterable[tuple[str, Score]], specs: Mapping[str, Mapping[str, Any]], *, most: int
) -> list[Table]:
    """Tables of the `most` best settings by the median over seeds.

    `scores` are (run id, score), the oldest first. If a run has several scores for the same number,
    only the newest counts, so that a repeated evaluation does not count twice. All scores of a
    table compare (`ml.studies.comparable`). Numbers of which neither more nor less is better, such
    as a KL, are left out.
    """
    values: dict[tuple[str, str, str], dict[str, Score]] = defaultdict(dict)
    ask = {run_id: Comparing(spec) for run_id, spec in specs.items()}
    for run_id, score in scores:
        if score.value is not None and score.higher_is_better is not None:
            key = score.metric, score.name, alike(ask[run_id].score(score))
            values[key][run_id] = score
    return [_table(values[key], specs, most) for key in sorted(values)]


def _table(found: Mapping[str, Score], specs: Mapping[str, Mapping[str, Any]], most: int) -> Table:
    run_id, one = next(iter(found.items()))
    assert one.higher_is_better is not None
    sign = -1 if one.higher_is_better else 1
    grouped: dict[str, list[str]] = defaultdict(list)
    for id in found:
        grouped[canonical_json(deciding(specs[id]))].append(id)
    medians = {key: statistics.median(_values(found, run_ids)) for key, run_ids in grouped.items()}
    ordered = sorted(grouped, key=lambda key: (sign * medians[key], key))[:most]
    ranks = _ranks([medians[key] for key in ordered])
    return Table(
        metric=one.metric,
        name=one.name,
        definition=one.definition,
        params={key: value for key, value in one.params.items() if key != "name"},
        codes=one.codes,
        rows=one.rows,
        train_rows=one.train_rows,
        factors=one.factors,
        dataset=chosen_data(specs[run_id]["dataset"]),
        depends_on=depends_on(one, specs[run_id]),
        higher_is_better=one.higher_is_better,
        entries=[
            _entry(
                rank, sorted(grouped[key], key=lambda id: sign * _value(found[id])), found, specs
            )
            for rank, key in zip(ranks, ordered, strict=True)
        ],
    )


def _entry(
    rank: int,
    run_ids: Sequence[str],
    found: Mapping[str, Score],
    specs: Mapping[str, Mapping[str, Any]],
) -> LeaderboardEntry:
    values = _values(found, run_ids)
    nulls = [null.mean for id in run_ids if (null := found[id].null) is not None]
    spec = specs[run_ids[0]]
    seeds = len({specs[id]["seed"] for id in run_ids})
    return LeaderboardEntry(
        rank=rank,
        objective=str(spec["objective"]["name"]),
        setting=chosen(spec),
        seeds=seeds,
        enough_seeds=seeds >= ENOUGH_SEEDS,
        median=statistics.median(values),
        best=values[0],
        worst=values[-1],
        null_mean=statistics.fmean(nulls) if nulls else None,
        run_ids=list(run_ids),
    )


def _ranks(medians: Sequence[float]) -> list[int]:
    return [medians.index(median) + 1 for median in medians]


def _value(score: Score) -> float:
    assert score.value is not None
    return score.value


def _values(found: Mapping[str, Score], run_ids: Sequence[str]) -> list[float]:
    return [_value(found[run_id]) for run_id in run_ids]
