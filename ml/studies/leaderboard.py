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
from ml.studies.comparable import depends_on
from ml.studies.number_kinds import NumberKind, NumberKinds
from ml.studies.stored_score import StoredScore, like
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
    scores: Iterable[tuple[str, Score | StoredScore]],
    specs: Mapping[str, Mapping[str, Any]],
    *,
    most: int,
    seeds: Mapping[str, int] | None = None,
) -> list[Table]:
    """Tables of the `most` best settings by the median over seeds.

    `scores` are (run id, score), the oldest first. If a run has several scores for the same number,
    only the newest counts, so that a repeated evaluation does not count twice. All scores of a
    table compare (`ml.studies.comparable`). Numbers of which neither more nor less is better, such
    as a KL, are left out. `seeds` has the seeds of runs whose specs do not have them: such runs may
    share a spec.
    """
    values: dict[NumberKind, dict[str, Score | StoredScore]] = defaultdict(dict)
    kinds = NumberKinds()
    # The objects are kept, as the kinds look them up by their ids.
    kept = list(scores)
    for run_id, score in kept:
        if score.value is not None and like(score).higher_is_better is not None:
            values[kinds.score(score, specs[run_id])][run_id] = score
    runs = _Runs(specs, seeds)
    ordered = sorted(values, key=lambda kind: (kind.metric, kind.number, kind.key))
    return [_table(values[kind], runs, most) for kind in ordered]


class _Runs:
    """The specs and seeds of the runs, and the settings that they are of."""

    def __init__(
        self, specs: Mapping[str, Mapping[str, Any]], seeds: Mapping[str, int] | None
    ) -> None:
        self.specs, self._seeds = specs, seeds
        self._settings: dict[int, str] = {}

    def seed(self, run_id: str) -> int:
        return int(self.specs[run_id]["seed"] if self._seeds is None else self._seeds[run_id])

    def setting(self, run_id: str) -> str:
        """All that decides the run's weights except the seed, as text."""
        spec = self.specs[run_id]
        key = id(spec)
        found = self._settings.get(key)
        if found is None:
            found = self._settings[key] = canonical_json(deciding(spec))
        return found


def _table(found: Mapping[str, Score | StoredScore], runs: _Runs, most: int) -> Table:
    run_id, first = next(iter(found.items()))
    one = like(first)
    assert one.higher_is_better is not None
    sign = -1 if one.higher_is_better else 1
    grouped: dict[str, list[str]] = defaultdict(list)
    for run in found:
        grouped[runs.setting(run)].append(run)
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
        dataset=chosen_data(runs.specs[run_id]["dataset"]),
        depends_on=depends_on(one, runs.specs[run_id]),
        higher_is_better=one.higher_is_better,
        entries=[
            _entry(rank, sorted(grouped[key], key=lambda id: sign * _value(found[id])), found, runs)
            for rank, key in zip(ranks, ordered, strict=True)
        ],
    )


def _entry(
    rank: int,
    run_ids: Sequence[str],
    found: Mapping[str, Score | StoredScore],
    runs: _Runs,
) -> LeaderboardEntry:
    values = _values(found, run_ids)
    nulls = [null.mean for id in run_ids if (null := found[id].null) is not None]
    spec = runs.specs[run_ids[0]]
    seeds = len({runs.seed(id) for id in run_ids})
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


def _value(score: Score | StoredScore) -> float:
    assert score.value is not None
    return score.value


def _values(found: Mapping[str, Score | StoredScore], run_ids: Sequence[str]) -> list[float]:
    return [_value(found[run_id]) for run_id in run_ids]
