"""A study: the runs of an experiment beside each other, one tidy row a run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ml.metric import NullDistribution, Score

SEED = "seed"
FINAL = ("loss", "reconstruction", "kl")
"""Last points of the training curves that a row has, as columns `final.<tag>`."""


@dataclass(frozen=True)
class RunResult:
    """What came of one place of an experiment's sweep."""

    run_id: str
    state: str
    train_id: str
    spec: Mapping[str, Any]
    """Resolved."""
    swept: Mapping[str, Any]
    """Dotted path to the value that it has here; a whole component may be a value."""
    scores: Sequence[Score] = ()
    """Of the evaluation that the experiment asked for."""
    final: Mapping[str, float] = field(default_factory=dict)
    """The last point of each training curve, by tag."""
    error: str | None = None
    beta: float | None = None
    """As its objective uses it, where it has a beta."""
    beta_norm: float | None = None
    """beta x latents / pixels (Higgins et al.), where its objective has a beta."""


@dataclass(frozen=True)
class Column:
    """One number that runs have."""

    name: str
    """`mig`, `dci.disentanglement`, `final.loss`; in brackets what tells it from its like."""
    metric: str | None
    """The metric's component; None for the end of a training curve."""
    definition: str | None
    params: Mapping[str, Any]
    higher_is_better: bool
    range: tuple[float | None, float | None]
    perfect: float | None


class Setting(tuple[tuple[str, Any], ...]):
    """Pairs of swept path and value; True and 1 are equal, but not the same setting."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Setting) and self._told() == other._told()

    def __ne__(self, other: object) -> bool:
        # That of tuples would find True and 1 equal.
        return not self == other

    def __hash__(self) -> int:
        return hash(self._told())

    def _told(self) -> tuple[tuple[str, bool, Any], ...]:
        return tuple((path, isinstance(value, bool), value) for path, value in self)


@dataclass(frozen=True)
class StudyRun:
    """A row: one run with its place in the sweep and its numbers."""

    run_id: str
    state: str
    train_id: str
    swept: Mapping[str, Any]
    """Dotted path to a plain value (text, number, truth value or null)."""
    objective: str
    """The objective's name."""
    seed: int
    values: Mapping[str, float | None]
    """By the name of a column; absent or None where there is none."""
    nulls: Mapping[str, NullDistribution]
    """Of those scores that have one."""
    error: str | None = None
    missing: Mapping[str, str] = field(default_factory=dict)
    """Why a score has no value, by the name of its column."""
    beta: float | None = None
    beta_norm: float | None = None

    @property
    def setting(self) -> Setting:
        """What was swept but the seed: equal for the runs that repeat each other."""
        return Setting(item for item in self.swept.items() if item[0] != SEED)

    def value(self, column: str) -> float | None:
        return self.values.get(column)


@dataclass(frozen=True)
class Study:
    """The runs of an experiment, in the order of the sweep."""

    name: str
    runs: tuple[StudyRun, ...]
    paths: tuple[str, ...]
    """What was swept, as dotted paths to plain values."""
    columns: Mapping[str, Column]
    """By name, the scores in their order and then the ends of training curves."""

    @property
    def score_columns(self) -> list[str]:
        """Columns that are scores."""
        return [name for name, column in self.columns.items() if column.metric is not None]

    @property
    def settings(self) -> dict[Setting, list[StudyRun]]:
        """The runs by their setting, in the order of the sweep."""
        grouped: dict[Setting, list[StudyRun]] = defaultdict(list)
        for run in self.runs:
            grouped[run.setting].append(run)
        return dict(grouped)

    def rows(self) -> list[dict[str, Any]]:
        """One a run: run_id, state, train_id, what was swept, every column, and its error."""
        return [
            {
                "run_id": run.run_id,
                "state": run.state,
                "train_id": run.train_id,
                **{path: run.swept.get(path) for path in self.paths},
                **{name: run.value(name) for name in self.columns},
                "error": run.error,
            }
            for run in self.runs
        ]


def study(name: str, results: Sequence[RunResult]) -> Study:
    """Runs beside each other: plain swept values, and columns that are the same number in all.

    Columns are named `metric` where a metric has one number of its own name, else
    `metric.number`. Where several would have one name (DCI by two predictors, codes by mean and
    by sample) what they differ in stands in brackets: `dci[predictor=lasso].disentanglement`.
    """
    swept = _flat([result.swept for result in results])
    names = _names(score for result in results for score in result.scores)
    columns: dict[str, Column] = {}
    rows = []
    for result, place in zip(results, swept, strict=True):
        values: dict[str, float | None] = {}
        nulls: dict[str, NullDistribution] = {}
        missing: dict[str, str] = {}
        for score in result.scores:
            column = names[_variant(score)]
            columns.setdefault(column, _column(column, score))
            values[column] = score.value
            if score.null is not None:
                nulls[column] = score.null
            if score.value is None:
                missing[column] = score.error or "no reason was recorded"
        values |= {f"final.{tag}": result.final[tag] for tag in FINAL if tag in result.final}
        rows.append(
            StudyRun(
                run_id=result.run_id,
                state=result.state,
                train_id=result.train_id,
                swept=place,
                objective=str(result.spec["objective"]["name"]),
                seed=int(result.spec["seed"]),
                values=values,
                nulls=nulls,
                error=result.error,
                missing=missing,
                beta=result.beta,
                beta_norm=result.beta_norm,
            )
        )
    for tag in FINAL:
        if any(tag in result.final for result in results):
            columns[f"final.{tag}"] = Column(
                f"final.{tag}", None, None, {}, False, (None, None), None
            )
    paths = dict.fromkeys(path for place in swept for path in place)
    return Study(name, tuple(rows), tuple(paths), columns)


def _flat(places: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Whole components as dotted paths to their params, where one of a path's values is one."""
    components = {
        path for place in places for path, value in place.items() if isinstance(value, Mapping)
    }
    return [
        {
            inner: plain
            for path, value in place.items()
            for inner, plain in _leaves(
                path,
                {"name": value} if path in components and isinstance(value, str) else value,
            )
        }
        for place in places
    ]


def _leaves(path: str, value: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(f"{path}.{key}", inner)
    else:
        # A list, of layers for instance, is told as its text.
        yield path, str(value) if isinstance(value, list | tuple) else value


def _variant(score: Score) -> tuple[Any, ...]:
    """What makes it the same number as another run's."""
    told = _told(score)
    return score.metric, score.name, *((key, repr(told[key])) for key in sorted(told))


def _told(score: Score) -> dict[str, Any]:
    common = {
        "codes": score.codes,
        "definition": score.definition,
        "rows": score.rows,
        "seed": score.seed,
    }
    params = {key: value for key, value in score.params.items() if key != "name"}
    # A metric may have a param of such a name, a seed of its own for instance.
    apart = {f"params.{key}" if key in common else key: value for key, value in params.items()}
    return apart | common


def _names(scores: Iterable[Score]) -> dict[tuple[Any, ...], str]:
    """The name of every variant's column."""
    alike: dict[tuple[str, str], dict[tuple[Any, ...], dict[str, Any]]] = defaultdict(dict)
    for score in scores:
        alike[score.metric, score.name].setdefault(_variant(score), _told(score))
    names: dict[tuple[Any, ...], str] = {}
    for (metric, number), variants in alike.items():
        keys = sorted({key for told in variants.values() for key in told})
        differing = [
            key
            for key in keys
            # No param is another variant than a param that is null.
            if len({key in told and repr(told[key]) for told in variants.values()}) > 1
        ]
        for variant, told in variants.items():
            chosen = ",".join(f"{key}={told[key]}" for key in differing if key in told)
            base = f"{metric}[{chosen}]" if chosen else metric
            names[variant] = base if number == metric else f"{base}.{number}"
    return names


def _column(name: str, score: Score) -> Column:
    return Column(
        name=name,
        metric=score.metric,
        definition=score.definition,
        params={key: value for key, value in score.params.items() if key != "name"},
        higher_is_better=score.higher_is_better,
        range=score.range,
        perfect=score.perfect,
    )
