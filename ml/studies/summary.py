"""What a sweep came to: tables by setting and by value, and what is best."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ml.metrics.significance import is_clear
from ml.studies.not_counted import not_counted
from ml.studies.statistics import Correlations, Description, Document, correlations, describe
from ml.studies.study import SEED, Column, Setting, Study, StudyRun
from ml.studies.udr import RunUdr
from ml.studies.values import (
    ENOUGH_SEEDS,
    counted,
    counted_values,
    median,
    plain,
    pooled_null,
    setting_name,
)
from ml.studies.variance_shares import VarianceShares, variance_shares

FEWEST_ACTIVE = 2
"""Latents of a model in which anything could be entangled."""
NOT_COMPARED = "the models' codes were not compared."


class SettingSummary(Document):
    """Runs that differ in the seed alone."""

    setting: dict[str, Any]
    """Swept path to value, without the seed; empty where nothing else was swept."""
    objective: str
    runs: int
    """All of them, whatever became of them."""
    columns: dict[str, Description]


class ValueSummary(Document):
    """Runs with one value at a swept path, whatever else was swept."""

    path: str
    value: Any
    runs: int
    columns: dict[str, Description]


class BestSetting(Document):
    """The setting with the best median of a score over seeds."""

    column: str
    higher_is_better: bool
    setting: dict[str, Any]
    median: float
    seeds: int
    """Runs that it rests on."""
    enough_seeds: bool
    """Whether they are five or more."""
    note: str | None
    """What to hold against it, where they are fewer."""
    clear_of_null: bool | None
    """Whether the median is better than codes that know nothing are but rarely (2.3 %); null where
    no run of the setting has a finite null, or its permutations are too few to tell."""
    runner_up: dict[str, Any] | None
    """The next best setting."""
    runner_up_median: float | None


class UdrOfRun(Document):
    udr: float
    active_latents: int
    """Latents with a mean KL above 0.01 nats, which are those that were compared."""


class UdrOfSetting(Document):
    """How alike models are that differ in the seed alone."""

    setting: dict[str, Any]
    seeds: int
    """Runs that were compared."""
    median: float
    active_latents: float
    """The median over the runs. UDR does not say how many there are, and is high for models that
    have collapsed onto the same few."""
    runs: dict[str, UdrOfRun]
    """By run id."""


class BestByUdr(Document):
    """What is best without labels: models that are alike over seeds and use two latents or more."""

    setting: dict[str, Any]
    """With the best median UDR of those whose models use two latents or more, in the median."""
    median: float
    active_latents: float
    """Latents that its models use, the median over the runs."""
    seeds: int
    enough_seeds: bool
    note: str | None
    """What to hold against it: few seeds, or that others use more latents."""
    runner_up: dict[str, Any] | None
    runner_up_median: float | None
    runner_up_active_latents: float | None
    run_id: str
    """Of the setting's run with the highest UDR."""
    run_udr: float
    run_active_latents: int
    udr: dict[str, float]
    """By run id, of all settings."""


class StudySummary(Document):
    """What a sweep came to; only runs that succeeded stand in its numbers."""

    name: str
    counts: dict[str, int]
    """Runs by state."""
    warnings: list[str]
    """What a reader must know before any number, in plain sentences."""
    best: list[BestSetting]
    """By each score that some run has and of which more or less is better."""
    best_by_udr: BestByUdr | None
    udr_missing: str | None
    """Why there is no `best_by_udr`."""
    udr_by_setting: list[UdrOfSetting]
    """In the order of the sweep, without those whose models were not compared."""
    by_setting: list[SettingSummary]
    """In the order of the sweep."""
    by_value: list[ValueSummary]
    """By each swept path but the seed, and each of its values."""
    correlations: Correlations
    variance: dict[str, VarianceShares | None]
    """By score; null for fewer than two runs, or where all have one value."""


def summarise(
    study: Study, udr: Mapping[str, RunUdr] | None = None, udr_missing: str | None = None
) -> StudySummary:
    """The summary of a study.

    `udr` is each run's likeness to the others of its setting, with the latents that it uses, by run
    id (`ml.studies.udr`), and `udr_missing` says why there is none.
    """
    best = [
        one
        for name in study.score_columns
        if (one := _best(study, study.columns[name])) is not None
    ]
    alike = _udr_by_setting(study, udr or {})
    by_udr, against = _best_by_udr(study, alike)
    return StudySummary(
        name=study.name,
        counts=dict(Counter(run.state for run in study.runs)),
        warnings=[
            *not_counted(study),
            *(warning for one in best if (warning := _within_null(study, one)) is not None),
            *(against if by_udr else ()),
        ],
        best=best,
        best_by_udr=by_udr,
        udr_missing=None if by_udr else (" ".join(against) or udr_missing or NOT_COMPARED),
        udr_by_setting=alike,
        by_setting=[
            SettingSummary(
                setting=dict(setting),
                objective=runs[0].objective,
                runs=len(runs),
                columns=_described(study, runs),
            )
            for setting, runs in study.settings.items()
        ],
        by_value=[
            ValueSummary(path=path, value=value, runs=len(runs), columns=_described(study, runs))
            for path in study.paths
            if path != SEED
            for value, runs in _by_value(study, path)
        ],
        correlations=correlations(study),
        variance={name: _variance(study, name) for name in study.score_columns},
    )


def _described(study: Study, runs: Sequence[StudyRun]) -> dict[str, Description]:
    return {name: describe(counted_values(runs, name)) for name in study.columns}


def _by_value(study: Study, path: str) -> Iterable[tuple[Any, list[StudyRun]]]:
    """The runs by their value, numbers in rising order where all are numbers."""
    # True and 1 are equal, but not the same value.
    grouped: dict[tuple[bool, Any], list[StudyRun]] = {}
    for run in study.runs:
        if path in run.swept:
            value = run.swept[path]
            grouped.setdefault((isinstance(value, bool), value), []).append(run)
    found = [(value, runs) for (_, value), runs in grouped.items()]
    if all(isinstance(value, int | float) for value, _ in found):
        found.sort(key=lambda one: one[0])
    return found


def _variance(study: Study, column: str) -> VarianceShares | None:
    runs = [run for run in study.runs if counted(run, column) is not None]
    return variance_shares(
        counted_values(runs, column), [run.objective for run in runs], [run.setting for run in runs]
    )


def _ranked(
    values: Mapping[Setting, Sequence[float]], *, higher_is_better: bool
) -> list[tuple[float, Setting]]:
    """The settings that have values with their medians, the best first."""
    medians = [(median(found), setting) for setting, found in values.items() if found]
    return sorted(medians, key=lambda one: one[0], reverse=higher_is_better)


def _best(study: Study, column: Column) -> BestSetting | None:
    if column.higher_is_better is None:
        return None
    values = {
        setting: counted_values(runs, column.name) for setting, runs in study.settings.items()
    }
    ranked = _ranked(values, higher_is_better=column.higher_is_better)
    if not ranked:
        return None
    return BestSetting(
        column=column.name,
        higher_is_better=column.higher_is_better,
        clear_of_null=_clear_of_null(study, column, *ranked[0]),
        **_winner(ranked, values),
    )


def _clear_of_null(study: Study, column: Column, median: float, setting: Setting) -> bool | None:
    null = pooled_null(study.settings[setting], column.name)
    if null is None:
        return None
    return is_clear(median, null, higher_is_better=column.higher_is_better)


def _udr_by_setting(study: Study, udr: Mapping[str, RunUdr]) -> list[UdrOfSetting]:
    found = []
    for setting, runs in study.settings.items():
        told = {
            run.run_id: UdrOfRun(udr=one.value, active_latents=one.active_latents)
            for run in runs
            if (one := udr.get(run.run_id)) is not None and math.isfinite(one.value)
        }
        if told:
            found.append(
                UdrOfSetting(
                    setting=dict(setting),
                    seeds=len(told),
                    median=median([one.udr for one in told.values()]),
                    active_latents=median([one.active_latents for one in told.values()]),
                    runs=told,
                )
            )
    return found


def _best_by_udr(study: Study, alike: Sequence[UdrOfSetting]) -> tuple[BestByUdr | None, list[str]]:
    """What is best without labels, and what to hold against it, or why nothing is."""
    if not alike:
        return None, []
    if len({run.data for run in study.runs if any(run.run_id in one.runs for one in alike)}) > 1:
        return None, ["models on several data sets do not compare; sum up those on one."]
    known = {Setting(one.setting.items()): one for one in alike}
    values = {
        setting: [run.udr for run in one.runs.values()]
        for setting, one in known.items()
        if one.active_latents >= FEWEST_ACTIVE
    }
    if not values:
        return None, [
            f"the models that were compared use fewer than {FEWEST_ACTIVE} latents, in the median:"
            " nothing in them could be entangled."
        ]
    ranked = _ranked(values, higher_is_better=True)
    best = known[ranked[0][1]]
    told = _winner(ranked, values)
    against = _against_udr(best, alike)
    told["note"] = " ".join([*([told["note"]] if told["note"] else []), *against]) or None
    run_id = max(best.runs, key=lambda one: best.runs[one].udr)
    return BestByUdr(
        **told,
        active_latents=best.active_latents,
        runner_up_active_latents=known[ranked[1][1]].active_latents if len(ranked) > 1 else None,
        run_id=run_id,
        run_udr=best.runs[run_id].udr,
        run_active_latents=best.runs[run_id].active_latents,
        udr={id: run.udr for one in alike for id, run in one.runs.items()},
    ), against


def _against_udr(best: UdrOfSetting, alike: Sequence[UdrOfSetting]) -> list[str]:
    """What the latents that models use hold against the best setting by UDR."""

    def told(one: UdrOfSetting) -> str:
        latents = plain(one.active_latents)
        name = setting_name(one.setting.items())
        return f"{name} (UDR {one.median:.3g}, {latents} active latents)"

    found = []
    collapsed = [one for one in alike if one.active_latents < FEWEST_ACTIVE]
    if collapsed and (first := max(collapsed, key=lambda one: one.median)).median > best.median:
        found.append(
            f"UDR is highest for {told(first)}, which is not recommended: in models that use fewer"
            f" than {FEWEST_ACTIVE} latents nothing could be entangled."
        )
    larger = [one for one in alike if one.active_latents > best.active_latents]
    if larger:
        found.append(
            f"The best setting by UDR, {told(best)}, uses fewer latents than"
            f" {told(max(larger, key=lambda one: one.median))}: UDR says whether models are alike"
            " in the latents that they use, and not how many these are, so that a collapse scores"
            " high."
        )
    return found


def _winner(
    ranked: Sequence[tuple[float, Setting]], values: Mapping[Setting, Sequence[float]]
) -> dict[str, Any]:
    best, setting = ranked[0]
    seeds = len(values[setting])
    runner_up = ranked[1] if len(ranked) > 1 else None
    return {
        "setting": dict(setting),
        "median": best,
        "seeds": seeds,
        "enough_seeds": seeds >= ENOUGH_SEEDS,
        "note": None if seeds >= ENOUGH_SEEDS else _too_few(seeds),
        "runner_up": dict(runner_up[1]) if runner_up else None,
        "runner_up_median": runner_up[0] if runner_up else None,
    }


def _too_few(seeds: int) -> str:
    return (
        f"It rests on {seeds} seed{'s' if seeds > 1 else ''}; at least {ENOUGH_SEEDS} are needed"
        " before an order of settings means much."
    )


def _within_null(study: Study, best: BestSetting) -> str | None:
    setting = Setting(best.setting.items())
    null = pooled_null(study.settings[setting], best.column)
    if null is None or best.clear_of_null is not False:
        return None
    return (
        f"The best median of {best.column}, {best.median:.3g} ({setting_name(setting)}), is within"
        f" its null ({null.mean:.3g} ± {null.std:.2g}): codes that know nothing of the factors"
        " score as much."
    )
