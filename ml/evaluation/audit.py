"""An audit of codes: all our scores, and the numbers that public codebases print instead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from ml.codes.rows import Rows
from ml.components.registry import components, find
from ml.evaluation.evaluate import score_rows
from ml.evaluation.published._formula import Published, published
from ml.evaluation.score import metric_of
from ml.metrics.protocol import AuditSetting, FactorKind, Metric, Score
from ml.recorder import Progress, Recorder, Silent, Wish

READ_FIRST = (
    *("mig", "mig_sup", "rmig", "jemmig", "dcimig", "modularity", "med"),
    *("sap", "dci", "explicitness"),
)
"""The first metrics of an audit, in order. The others come after these, by name."""


class Audited(BaseModel):
    """One of our scores, and the numbers of public codebases for it."""

    asked: dict[str, Any]
    """The metric's name and its chosen params."""
    score: Score
    published: list[Published]


class Audit(BaseModel):
    """All scores of some rows, our own and those of public codebases."""

    rows: int
    train_rows: int
    latents: int
    factors: list[str]
    factor_kinds: list[FactorKind]
    seed: int
    items: list[Audited]


def audit(rows: Rows, *, quick: bool = False, recorder: Recorder | None = None) -> Audit:
    """Score rows by every metric that they allow, and add what public codebases print.

    Metrics of the posterior are among them if the rows have posteriors.

    Groups by importance are scored by the metrics that have one. A metric that cannot be computed
    gives scores with an `error`. Numbers whose name begins with
    `error` are left out, as they are 1 - informativeness. Each metric declares the cost of its
    settings: `quick` leaves out slow ones, and nulls and intervals of all that are not cheap.
    """
    settings = _settings(rows, quick=quick)
    items = []
    for done, (one, setting) in enumerate(settings):
        items += [
            Audited(
                asked=one,
                score=score,
                published=[] if _summed(rows) else published(rows, score),
            )
            for score in score_rows(
                rows,
                [metric_of(one)],
                uncertainty=not quick or setting.cost == "cheap",
                recorder=_Step(recorder or Silent(), done, len(settings)),
            )
            if not score.name.startswith("error")
        ]
    return Audit(
        rows=len(rows),
        train_rows=rows.train,
        latents=len(rows.latent_names()),
        factors=list(rows.factor_names),
        factor_kinds=list(rows.factor_kinds),
        seed=rows.seed,
        items=items,
    )


def metrics_of(rows: Rows, *, quick: bool = False) -> list[dict[str, Any]]:
    """The name and params of each metric of an audit of these rows, in its order."""
    return [asked for asked, _ in _settings(rows, quick=quick)]


def _settings(rows: Rows, *, quick: bool) -> list[tuple[dict[str, Any], AuditSetting]]:
    """Name and params of each metric of the audit, and the setting that they come from."""
    continuous = "continuous" in rows.factor_kinds
    return [
        (
            {"name": name, **setting.params, **(setting.if_continuous if continuous else {})},
            setting,
        )
        for name in sorted(components("metric"), key=_place)
        for setting in _audited(name, rows)
        if not (quick and setting.cost == "slow")
    ]


def _audited(name: str, rows: Rows) -> Sequence[AuditSetting]:
    metric = find("metric", name)
    assert issubclass(metric, Metric)
    able = metric.sums_groups or not _summed(rows)
    known = metric.needs == "rows" or rows.posteriors is not None
    return metric.audited if known and able else ()


def _summed(rows: Rows) -> bool:
    """Whether the rows have groups by importance, which no public codebase has."""
    return rows.groups is not None and rows.groups.by == "importance"


def _place(name: str) -> tuple[int, str]:
    return READ_FIRST.index(name) if name in READ_FIRST else len(READ_FIRST), name


class _Step(Silent):
    """Reports a metric's progress as one step of the audit."""

    def __init__(self, recorder: Recorder, done: int, steps: int) -> None:
        self._recorder, self._done, self._steps = recorder, done, steps

    def progress(self, progress: Progress) -> Wish:
        """Report this step as done when the metric reports its own last step."""
        done = self._done + (progress.step == progress.steps)
        return self._recorder.progress(Progress(progress.stage, done, self._steps))
