"""Everything that was scored on a data set, ranked: one table for each number that compares."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from ml.identity import NOT_IDENTITY, canonical_json
from ml.metric import Score
from ml.spec import RunSpec
from ml.study_values import ENOUGH_SEEDS

CHOSEN = ("dataset", "model", "objective", "training")
"""The parts of a spec that, with the seed, decide weights; and `origin`, where there is one."""


class Entry(BaseModel):
    """A setting: runs that differ in the seed alone."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    rank: int
    """1 is best; settings of equal medians share a rank."""
    objective: str
    setting: dict[str, Any]
    """What was chosen of model, objective and training, dotted path to value: of the objective
    everything, else what is not as by default."""
    seeds: int
    """Of the runs with a value."""
    enough_seeds: bool
    """Whether there are five or more: a median over fewer says little."""
    median: float
    best: float
    worst: float
    null_mean: float | None
    """Mean of the runs' nulls: what such codes would score if they knew nothing."""
    run_ids: list[str]
    """The best first."""


class Table(BaseModel):
    """Settings that were scored by the same number, in the same way, on the same data."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    metric: str
    name: str
    """Which of the metric's numbers."""
    definition: str
    """Name and version of the metric; numbers of two versions do not compare."""
    params: dict[str, Any]
    codes: Literal["mean", "sample"]
    rows: int
    dataset: dict[str, Any]
    """What was chosen of the data set; empty for all of it, as by default."""
    higher_is_better: bool
    entries: list[Entry]


def leaderboard(
    scores: Iterable[tuple[str, Score]], specs: Mapping[str, Mapping[str, Any]], *, most: int
) -> list[Table]:
    """Tables of the `most` best settings by the median over seeds.

    `scores` are (run id, score), the oldest first: of several scores of a run that are the same
    number the newest counts, so that asking again does not count twice. Numbers on different
    rows (another `rows` or evaluation seed) are never mixed in one run's value, but stand in one
    table when the count of rows agrees.
    """
    values: dict[tuple[Any, ...], dict[str, Score]] = defaultdict(dict)
    for run_id, score in scores:
        if score.value is not None:
            key = (
                score.metric,
                score.name,
                score.definition,
                canonical_json({k: v for k, v in score.params.items() if k != "name"}),
                score.codes,
                score.rows,
                canonical_json(specs[run_id]["dataset"]),
            )
            values[key][run_id] = score
    return [_table(found, specs, most) for _, found in sorted(values.items(), key=_by_name)]


def _by_name(item: tuple[tuple[Any, ...], Any]) -> tuple[str, ...]:
    return tuple(map(str, item[0]))


def _table(found: Mapping[str, Score], specs: Mapping[str, Mapping[str, Any]], most: int) -> Table:
    one = next(iter(found.values()))
    sign = -1 if one.higher_is_better else 1
    grouped: dict[str, list[str]] = defaultdict(list)
    for run_id in found:
        grouped[_setting_key(specs[run_id])].append(run_id)
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
        dataset=_of_data(specs[next(iter(found))]),
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
) -> Entry:
    values = _values(found, run_ids)
    nulls = [null.mean for id in run_ids if (null := found[id].null) is not None]
    spec = specs[run_ids[0]]
    seeds = len({specs[id]["seed"] for id in run_ids})
    return Entry(
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


def _setting_key(spec: Mapping[str, Any]) -> str:
    return canonical_json(_deciding(spec))


def _deciding(spec: Mapping[str, Any]) -> dict[str, Any]:
    training = {k: v for k, v in spec["training"].items() if k not in NOT_IDENTITY}
    origin = {"origin": spec["origin"]} if spec.get("origin") else {}
    return {name: spec[name] for name in CHOSEN} | {"training": training} | origin


def chosen(spec: Mapping[str, Any]) -> dict[str, Any]:
    """All of the objective of a resolved spec, and what else is not as by default but the data."""
    usual = _usual(spec)
    return {
        path: value
        for path, value in _told(spec)
        if not path.startswith("dataset.")
        and (
            (path.startswith("objective.") and value is not None)
            or path not in usual
            or usual[path] != value
        )
    }


def _of_data(spec: Mapping[str, Any]) -> dict[str, Any]:
    usual, start = _usual(spec), "dataset."
    return {
        path.removeprefix(start): value
        for path, value in _told(spec)
        if path.startswith(start) and (path not in usual or usual[path] != value)
    }


def _told(spec: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return sorted(_leaves("", _deciding(spec)), key=itemgetter(0))


def _usual(spec: Mapping[str, Any]) -> dict[str, Any]:
    default = _default(spec["dataset"]["name"], spec["objective"]["name"])
    return dict(_leaves("", _deciding(default))) if default else {}


@lru_cache(maxsize=1_000)
def _default(dataset: str, objective: str) -> dict[str, Any] | None:
    try:
        return RunSpec.model_validate({"dataset": dataset, "objective": objective}).document()
    except ValueError:
        # It has no defaults, or is no longer installed.
        return None


def _leaves(path: str, value: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(f"{path}.{key}" if path else key, inner)
    else:
        yield path, value
