"""The summary of a sweep: tables by setting and by value, and the best settings."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ml.metrics.significance import is_clear
from ml.studies.grouped import (
    Groups,
    by_size,
    counted_columns,
    counted_in,
    described,
    half_widths,
)
from ml.studies.not_counted import not_counted
from ml.studies.seeds_or_rows import SeedsOrRows, seeds_or_rows_of_many
from ml.studies.statistics import Correlations, Description, Document, correlations
from ml.studies.study import SEED, Column, Setting, Study
from ml.studies.udr import RunUdr
from ml.studies.values import (
    ENOUGH_SEEDS,
    median,
    plain,
    pooled_null,
    setting_name,
)
from ml.studies.variance_shares import VarianceShares, variance_shares

FEWEST_ACTIVE = 2
"""Fewest latents that a model must use for anything in it to be entangled."""
NOT_COMPARED = "the models' codes were not compared."

Numbers = Mapping[str, np.ndarray]
"""The numbers that count by column, NaN where a run has none."""


class SettingSummary(Document):
    """Runs that differ only in the seed."""

    setting: dict[str, Any]
    """Swept path to value, without the seed; empty if nothing else was swept."""
    objective: str
    runs: int
    """How many runs the setting has, in whatever state."""
    columns: dict[str, Description]
    uncertainty: dict[str, SeedsOrRows]
    """Whether more seeds or more rows would make a score's mean more certain, by the scores that
    two runs or more have."""


class ValueSummary(Document):
    """Runs with the same value at a swept path, whatever their other values."""

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
    """Runs that the median is taken over."""
    enough_seeds: bool
    """Whether there are five seeds or more."""
    note: str | None
    """A caution, if there are fewer."""
    clear_of_null: bool | None
    """Whether codes that know nothing of the factors reach this median only rarely (2.3 %). Null if
    no run of the setting has a finite null, or its permutations are too few to decide."""
    runner_up: dict[str, Any] | None
    """The next best setting."""
    runner_up_median: float | None


class UdrOfRun(Document):
    udr: float
    active_latents: int
    """Latents with a mean KL above 0.01 nats. Only these were compared."""


class UdrOfSetting(Document):
    """How alike models are that differ only in the seed."""

    setting: dict[str, Any]
    seeds: int
    """Runs that were compared."""
    median: float
    active_latents: float
    """Median over the runs. UDR does not depend on this number, and is high for models that have
    collapsed onto the same few latents."""
    runs: dict[str, UdrOfRun]
    """The runs that were compared, by run id."""


class BestByUdr(Document):
    """The best setting without labels: its models are alike, and use two latents or more."""

    setting: dict[str, Any]
    """The setting with the best median UDR, of those whose runs use two latents or more in the
    median."""
    median: float
    active_latents: float
    """Latents that its models use; the median over the runs."""
    seeds: int
    enough_seeds: bool
    note: str | None
    """A caution: the setting has few seeds, or other settings use more latents."""
    runner_up: dict[str, Any] | None
    runner_up_median: float | None
    runner_up_active_latents: float | None
    run_id: str
    """The setting's run with the highest UDR."""
    run_udr: float
    run_active_latents: int
    udr: dict[str, float]
    """UDR of the runs of all settings, by run id."""


class StudySummary(Document):
    """The summary of a sweep. Only runs that succeeded count in its numbers."""

    name: str
    counts: dict[str, int]
    """How many runs are in each state."""
    warnings: list[str]
    """Sentences to read before any number."""
    best: list[BestSetting]
    """The best setting by each score that some run has and that has a better direction."""
    best_by_udr: BestByUdr | None
    udr_missing: str | None
    """Why there is no `best_by_udr`."""
    udr_by_setting: list[UdrOfSetting]
    """Settings whose models were compared, in the order of the sweep."""
    by_setting: list[SettingSummary]
    """All settings, in the order of the sweep."""
    by_value: list[ValueSummary]
    """One for each value of each swept path except the seed."""
    correlations: Correlations
    variance: dict[str, VarianceShares | None]
    """Shares by score; null if fewer than two runs have a value, or all have the same one."""


def summarise(
    study: Study, udr: Mapping[str, RunUdr] | None = None, udr_missing: str | None = None
) -> StudySummary:
    """The summary of a study.

    `udr` has by run id how alike a run's model is to the others of its setting, and how many
    latents it uses (`ml.studies.udr`). `udr_missing` says why there is none.
    """
    numbers = counted_columns(study)
    by_setting = _described(numbers, list(study.places.values()))
    best = [
        one
        for name in study.score_columns
        if (one := _best(study, study.columns[name], by_setting[name])) is not None
    ]
    uncertain = _uncertainty(study, numbers)
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
                columns={name: found[place] for name, found in by_setting.items()},
                uncertainty=uncertain[place],
            )
            for place, (setting, runs) in enumerate(study.settings.items())
        ],
        by_value=[
            one for path in study.paths if path != SEED for one in _by_value(study, path, numbers)
        ],
        correlations=correlations(study, numbers),
        variance=_variance(study, numbers),
    )


def _described(numbers: Numbers, groups: Groups) -> dict[str, list[Description]]:
    """What describes each group of runs, by column."""
    return {name: described(counted_in(column, groups)) for name, column in numbers.items()}


def _uncertainty(study: Study, numbers: Numbers) -> list[dict[str, SeedsOrRows]]:
    """Of each setting, by score."""
    groups = list(study.places.values())
    found: list[dict[str, SeedsOrRows]] = [{} for _ in groups]
    for name, widths in half_widths(study).items():
        column = numbers[name]
        there = ~np.isnan(column)
        those = [[place for place in group if there[place]] for group in groups]
        for places, values in by_size([column[group] for group in those]):
            of_rows = np.stack([widths[those[place]] for place in places])
            for place, one in zip(places, seeds_or_rows_of_many(values, of_rows), strict=True):
                if one is not None:
                    found[place][name] = one
    return found


def _by_value(study: Study, path: str, numbers: Numbers) -> Iterable[ValueSummary]:
    """The runs by their value at a path, in rising order if all values are numbers."""
    # True and 1 are different values, although they are equal.
    grouped: dict[tuple[bool, Any], list[int]] = {}
    for place, run in enumerate(study.runs):
        if path in run.swept:
            value = run.swept[path]
            grouped.setdefault((isinstance(value, bool), value), []).append(place)
    found = [(value, places) for (_, value), places in grouped.items()]
    if all(isinstance(value, int | float) for value, _ in found):
        found.sort(key=lambda one: one[0])
    columns = _described(numbers, [places for _, places in found])
    return [
        ValueSummary(
            path=path,
            value=value,
            runs=len(places),
            columns={name: of_each[at] for name, of_each in columns.items()},
        )
        for at, (value, places) in enumerate(found)
    ]


def _variance(study: Study, numbers: Numbers) -> dict[str, VarianceShares | None]:
    setting_of = np.zeros(len(study.runs), dtype=np.int64)
    for number, those in enumerate(study.places.values()):
        setting_of[those] = number
    objectives = [run.objective for run in study.runs]
    found = {}
    for name in study.score_columns:
        places = np.flatnonzero(~np.isnan(numbers[name]))
        found[name] = variance_shares(
            numbers[name][places].tolist(),
            [objectives[place] for place in places],
            setting_of[places].tolist(),
        )
    return found


def _ranked(
    medians: Iterable[tuple[float, Setting]], *, higher_is_better: bool
) -> list[tuple[float, Setting]]:
    """Medians of settings, the best first."""
    return sorted(medians, key=lambda one: one[0], reverse=higher_is_better)


def _best(study: Study, column: Column, of: Sequence[Description]) -> BestSetting | None:
    if column.higher_is_better is None:
        return None
    known = dict(zip(study.settings, of, strict=True))
    ranked = _ranked(
        ((one.median, setting) for setting, one in known.items() if one.median is not None),
        higher_is_better=column.higher_is_better,
    )
    if not ranked:
        return None
    return BestSetting(
        column=column.name,
        higher_is_better=column.higher_is_better,
        clear_of_null=_clear_of_null(study, column, *ranked[0]),
        **_winner(ranked, known[ranked[0][1]].n),
    )


def _clear_of_null(study: Study, column: Column, median: float, setting: Setting) -> bool | None:
    null = pooled_null(study.settings[setting], column.name)
    if null is None:
        return None
    return is_clear(median, null, higher_is_better=column.higher_is_better)


def _udr_by_setting(study: Study, udr: Mapping[str, RunUdr]) -> list[UdrOfSetting]:
    found = []
    for setting, runs in study.settings.items():
        compared = {
            run.run_id: UdrOfRun(udr=one.value, active_latents=one.active_latents)
            for run in runs
            if (one := udr.get(run.run_id)) is not None and math.isfinite(one.value)
        }
        if compared:
            found.append(
                UdrOfSetting(
                    setting=dict(setting),
                    seeds=len(compared),
                    median=median([one.udr for one in compared.values()]),
                    active_latents=median([one.active_latents for one in compared.values()]),
                    runs=compared,
                )
            )
    return found


def _best_by_udr(study: Study, alike: Sequence[UdrOfSetting]) -> tuple[BestByUdr | None, list[str]]:
    """The best setting without labels and cautions about it, or None and the reasons why not."""
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
    ranked = _ranked(
        ((median(found), setting) for setting, found in values.items()), higher_is_better=True
    )
    best = known[ranked[0][1]]
    winner = _winner(ranked, len(values[ranked[0][1]]))
    against = _against_udr(best, alike)
    winner["note"] = " ".join([*([winner["note"]] if winner["note"] else []), *against]) or None
    run_id = max(best.runs, key=lambda one: best.runs[one].udr)
    return BestByUdr(
        **winner,
        active_latents=best.active_latents,
        runner_up_active_latents=known[ranked[1][1]].active_latents if len(ranked) > 1 else None,
        run_id=run_id,
        run_udr=best.runs[run_id].udr,
        run_active_latents=best.runs[run_id].active_latents,
        udr={id: run.udr for one in alike for id, run in one.runs.items()},
    ), against


def _against_udr(best: UdrOfSetting, alike: Sequence[UdrOfSetting]) -> list[str]:
    """Cautions about the best setting by UDR that come from how many latents models use."""

    def described(one: UdrOfSetting) -> str:
        latents = plain(one.active_latents)
        name = setting_name(one.setting.items())
        return f"{name} (UDR {one.median:.3g}, {latents} active latents)"

    found = []
    collapsed = [one for one in alike if one.active_latents < FEWEST_ACTIVE]
    if collapsed and (first := max(collapsed, key=lambda one: one.median)).median > best.median:
        found.append(
            f"UDR is highest for {described(first)}, which is not recommended: in models that use"
            f" fewer than {FEWEST_ACTIVE} latents nothing could be entangled."
        )
    larger = [one for one in alike if one.active_latents > best.active_latents]
    if larger:
        found.append(
            f"The best setting by UDR, {described(best)}, uses fewer latents than"
            f" {described(max(larger, key=lambda one: one.median))}: UDR says whether models are"
            " alike in the latents that they use, and not how many these are, so that a collapse"
            " scores high."
        )
    return found


def _winner(ranked: Sequence[tuple[float, Setting]], seeds: int) -> dict[str, Any]:
    best, setting = ranked[0]
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
