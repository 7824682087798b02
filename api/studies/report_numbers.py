"""The formatted numbers of a report: answers, settings, shares of variance, correlations."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from ml.studies.statistics import Correlations, Description
from ml.studies.study import Column, Setting, Study, StudyRun
from ml.studies.summary import (
    BestByUdr,
    BestSetting,
    SettingSummary,
    StudySummary,
)
from ml.studies.values import SUCCEEDED, counted, counted_values, plain, setting_name
from ml.studies.variance_shares import VarianceShares

RECONSTRUCTION = "reconstruction"
MOST_ANSWERS = 12
MOST_SETTINGS = 200
SOURCES = ("objective", "hyperparameter", "seed")


@dataclass(frozen=True)
class Answer:
    """The best setting by one number."""

    score: str
    value: str
    unit: str
    setting: str
    against: Sequence[str]
    """Sentences that weaken the answer."""


@dataclass(frozen=True)
class Cell:
    """A setting's runs under one column."""

    spread: str
    median: str
    count: int
    best: bool


@dataclass(frozen=True)
class SettingRow:
    name: str
    cells: Sequence[Cell | None]


@dataclass(frozen=True)
class SettingTable:
    columns: Sequence[str]
    rows: Sequence[SettingRow]
    left_out: str


@dataclass(frozen=True)
class UdrRow:
    name: str
    median: str
    active_latents: str
    count: int


@dataclass(frozen=True)
class Best:
    """The best run of a setting."""

    setting: str
    run: StudyRun
    caption: str


@dataclass(frozen=True)
class Share:
    text: str
    by_chance: str
    percent: float


@dataclass(frozen=True)
class ShareRow:
    name: str
    parts: Sequence[Share]


@dataclass(frozen=True)
class CorrelationCell:
    text: str
    tone: str
    """`agree`, `differ` or `neither`."""
    shade: str
    """The opacity of the cell's colour, from 0 to 1. It is empty for a cell without a colour."""


@dataclass(frozen=True)
class CorrelationRow:
    name: str
    cells: Sequence[CorrelationCell]


def number(value: float | None) -> str:
    """A number as a table shows it. It is empty for None, NaN and infinities."""
    if value is None or not math.isfinite(value):
        return ""
    if abs(value) >= 1e6:
        return f"{value:.3g}"
    return f"{value:.3f}" if abs(value) < 100 else f"{value:,.1f}"


def answers(summary: StudySummary) -> list[Answer]:
    """The best setting by each score that a run has, then the best one by UDR."""
    found = [_answer(summary, one) for one in summary.best[:MOST_ANSWERS]]
    unlabelled = summary.best_by_udr
    return found if unlabelled is None else [*found, _without_labels(unlabelled)]


def no_answer(summary: StudySummary) -> str:
    """The reason why no setting is the best by any score."""
    if not summary.counts.get(SUCCEEDED):
        return "There is no answer yet: no run has succeeded."
    if not summary.variance:
        return "No scores were asked for, so no setting is the best by one."
    return "No run has a value of any score, so no setting is the best by one."


def setting_table(summary: StudySummary) -> SettingTable:
    """A table with a row for each setting.

    Under each column it has the mean, deviation, median and number of runs.
    """
    columns = summary.correlations.columns
    several = len(summary.by_setting) > 1
    best = {one.column: one.setting for one in summary.best if several}
    rows = [
        SettingRow(
            setting_name(one.setting.items()),
            [
                _cell(one.columns[name], best=name in best and _same(best[name], one.setting))
                for name in columns
            ],
        )
        for one in summary.by_setting[:MOST_SETTINGS]
    ]
    more = len(summary.by_setting) - MOST_SETTINGS
    left_out = f"{more:,} more settings are in the summary." if more > 0 else ""
    return SettingTable(columns, rows, left_out)


def udr_rows(summary: StudySummary) -> list[UdrRow]:
    """The UDR of each setting, beside the number of latents that its models use."""
    return [
        UdrRow(
            setting_name(one.setting.items()),
            number(one.median),
            plain(one.active_latents),
            one.seeds,
        )
        for one in summary.udr_by_setting[:MOST_SETTINGS]
    ]


def share_rows(shares: Mapping[str, VarianceShares | None]) -> list[ShareRow]:
    """The share of each score's variance that each of the `SOURCES` explains."""
    return [
        ShareRow(
            name,
            [
                _share(one.objective, one.objective_by_chance),
                _share(one.hyperparameter, one.hyperparameter_by_chance),
                _share(one.seed, None),
            ],
        )
        for name, one in shares.items()
        if one is not None
    ]


def correlation_rows(found: Correlations) -> list[CorrelationRow]:
    """Rank correlations of the columns.

    There are no rows for fewer than two columns, or where no correlation has a value.
    """
    if len(found.columns) < 2 or all(value is None for row in found.matrix for value in row):
        return []
    return [
        CorrelationRow(
            name,
            [
                _shaded(value, better, other)
                for value, other in zip(values, found.higher_is_better, strict=True)
            ],
        )
        for name, values, better in zip(
            found.columns, found.matrix, found.higher_is_better, strict=True
        )
    ]


def best_of_settings(study: Study) -> list[Best]:
    """The best run of each setting that has one, the best setting first.

    The first score that a run has decides, except that scores without a better direction do not
    count. Without such a score, the reconstruction at the end of training decides. Without that,
    each setting has its first run that succeeded.

    The score may have several columns that do not compare with each other. A setting without a
    value in the first column is ranked by the next one, after all settings of the first.
    """
    judges = _judges(study)
    if not judges:
        return [
            Best(setting_name(setting), done[0], _of_run(done[0], None))
            for setting, runs in study.settings.items()
            if (done := [run for run in runs if run.state == SUCCEEDED])
        ]
    found: dict[Setting, Best] = {}
    for judge in judges:
        sign = 1 if judge.higher_is_better else -1
        ranked = sorted(
            (
                (sign * median(counted_values(runs, judge.name)), setting)
                for setting, runs in study.settings.items()
                if counted_values(runs, judge.name)
            ),
            key=lambda one: -one[0],
        )
        for _, setting in ranked:
            run = _best_run(study.settings[setting], judge, sign)
            found.setdefault(setting, Best(setting_name(setting), run, _of_run(run, judge)))
    return list(found.values())


def _judges(study: Study) -> list[Column]:
    """The columns of the number that judges runs. See `best_of_settings`."""
    ends = [
        name
        for name, column in study.columns.items()
        if column.metric is None and column.number == RECONSTRUCTION
    ]
    for name in (*study.score_columns, *ends):
        column = study.columns[name]
        if column.higher_is_better is not None and counted_values(study.runs, name):
            return [study.columns[other] for other in study.like(name)]
    return []


def _best_run(runs: Sequence[StudyRun], judge: Column, sign: int) -> StudyRun:
    values = [(value, run) for run in runs if (value := counted(run, judge.name)) is not None]
    return max(values, key=lambda one: sign * one[0])[1]


def _answer(summary: StudySummary, best: BestSetting) -> Answer:
    here = _setting_of(summary, best.setting)
    values = here.columns[best.column]
    unit = f"median of {values.n} runs" if values.n > 1 else "a single run"
    if values.n > 1:
        unit += f", {number(values.low)} to {number(values.high)}"
    against = []
    if best.note:
        against.append(best.note)
    if values.n < here.runs:
        lost = here.runs - values.n
        against.append(f"{lost} of its {here.runs} runs {'has' if lost == 1 else 'have'} no value.")
    if best.runner_up is not None:
        other = _setting_of(summary, best.runner_up).columns[best.column]
        overlap = "; the two overlap." if _overlap(values, other) else "."
        against.append(_next(best.runner_up, best.runner_up_median) + overlap)
    if best.clear_of_null is False:
        against.append("It is not clear of its null: codes that know nothing score as much.")
    arrow = "higher is better" if best.higher_is_better else "lower is better"
    return Answer(
        f"{best.column} ({arrow})",
        number(best.median),
        unit,
        setting_name(best.setting.items()),
        against,
    )


def _without_labels(best: BestByUdr) -> Answer:
    against = [best.note] if best.note else []
    if best.runner_up is not None:
        latents = f" with {plain(best.runner_up_active_latents)} active latents."
        against.append(_next(best.runner_up, best.runner_up_median) + latents)
    return Answer(
        "UDR, without labels (higher is better)",
        number(best.median),
        f"median of {best.seeds} runs with {plain(best.active_latents)} active latents; the most"
        f" alike to its kin is {best.run_id}",
        setting_name(best.setting.items()),
        against,
    )


def _next(setting: Mapping[str, Any], value: float | None) -> str:
    return f"Next is {setting_name(setting.items())} at {number(value)}"


def _overlap(one: Description, other: Description) -> bool:
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return False
    return one.low <= other.high and other.low <= one.high


def _setting_of(summary: StudySummary, setting: Mapping[str, Any]) -> SettingSummary:
    return next(one for one in summary.by_setting if _same(one.setting, setting))


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return Setting(one.items()) == Setting(other.items())


def _cell(values: Description, *, best: bool) -> Cell | None:
    if not values.n:
        return None
    spread = f" ± {number(values.std)}" if values.std is not None else ""
    return Cell(f"{number(values.mean)}{spread}", number(values.median), values.n, best)


def _share(share: float | None, by_chance: float | None) -> Share:
    return Share(
        "" if share is None else f"{share:.0%}",
        "" if by_chance is None else f"{by_chance:.0%}",
        round(100 * min(max(share or 0.0, 0.0), 1.0), 2),
    )


def _of_run(run: StudyRun, judge: Column | None) -> str:
    named = f"{run.run_id}, seed {run.seed}"
    return named if judge is None else f"{named}, {judge.name} {number(counted(run, judge.name))}"


def _shaded(value: float | None, better: bool | None, other: bool | None) -> CorrelationCell:
    if value is None or not math.isfinite(value):
        return CorrelationCell("", "agree", "")
    if better is None or other is None:
        # For one of the two columns no direction is better, so they neither agree nor differ.
        return CorrelationCell(f"{value:.2f}", "neither", f"{0.4 * min(abs(value), 1):.2f}")
    tone = "agree" if (value >= 0) == (better == other) else "differ"
    return CorrelationCell(f"{value:.2f}", tone, f"{0.6 * min(abs(value), 1):.2f}")
