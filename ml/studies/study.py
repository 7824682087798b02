"""A study: the runs of an experiment as one table, with a row for each run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ml.metrics.protocol import NullDistribution, Score
from ml.studies.comparable import Basis, Comparing, alike, differing

SEED = "seed"
CURVES = "final"
FINAL = {"loss": None, "reconstruction": False, "kl": None}
"""Training curves whose last points are the columns `final.<tag>`, and whether higher is better."""


@dataclass(frozen=True)
class RunResult:
    """The result at one place of an experiment's sweep."""

    run_id: str
    state: str
    train_id: str
    spec: Mapping[str, Any]
    """The resolved spec."""
    swept: Mapping[str, Any]
    """Dotted path to its value at this place. A value may be a whole component."""
    scores: Sequence[Score] = ()
    """Scores of the evaluation that the experiment asked for."""
    final: Mapping[str, float] = field(default_factory=dict)
    """The last point of each training curve, by tag."""
    error: str | None = None
    beta: float | None = None
    """Beta as the objective uses it; None for an objective without a beta."""
    beta_norm: float | None = None
    """beta x latents / pixels (Higgins et al.); None for an objective without a beta."""


@dataclass(frozen=True)
class Column:
    """One number that runs have."""

    name: str
    """`mig`, `dci.disentanglement`, `final.loss`; brackets name what sets apart columns of the same
    number, as in `dci[predictor=lasso].disentanglement`."""
    number: str
    """The name of the metric's number, or of the curve."""
    metric: str | None
    """The metric's name; None for the end of a training curve."""
    definition: str | None
    params: Mapping[str, Any]
    higher_is_better: bool | None
    """None where neither direction is better: for a KL, and for a loss, whose terms each objective
    weighs in its own way."""
    range: tuple[float | None, float | None]
    perfect: float | None


class Setting(tuple[tuple[str, Any], ...]):
    """Pairs of swept path and value. True and 1 are different settings, although they are equal."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Setting) and self._key() == other._key()

    def __ne__(self, other: object) -> bool:
        # The tuple's own comparison would find True and 1 equal.
        return not self == other

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[tuple[str, bool, Any], ...]:
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
    data: str
    """Data set and its chosen params, as one text. Scores on different data do not compare."""
    seed: int
    values: Mapping[str, float | None]
    """Numbers by the name of their column; absent or None where the run has no number."""
    nulls: Mapping[str, NullDistribution]
    """Nulls of the scores that have one, by the name of their column."""
    half_widths: Mapping[str, float] = field(default_factory=dict)
    """Half the 95 % interval of the scores that have one, by the name of their column."""
    error: str | None = None
    missing: Mapping[str, str] = field(default_factory=dict)
    """Why a score has no value, by the name of its column."""
    beta: float | None = None
    beta_norm: float | None = None

    @property
    def setting(self) -> Setting:
        """The swept values without the seed. It is equal for runs that differ only in the seed."""
        return Setting(item for item in self.swept.items() if item[0] != SEED)

    def value(self, column: str) -> float | None:
        return self.values.get(column)


@dataclass(frozen=True)
class Study:
    """The runs of an experiment, in the order of the sweep."""

    name: str
    runs: tuple[StudyRun, ...]
    paths: tuple[str, ...]
    """Swept dotted paths to plain values."""
    columns: Mapping[str, Column]
    """Columns by name: first the scores in their order, then the ends of training curves."""

    @property
    def score_columns(self) -> list[str]:
        """Columns that are scores."""
        return [name for name, column in self.columns.items() if column.metric is not None]

    def like(self, column: str) -> list[str]:
        """All columns of the same number, including this one. They do not compare."""
        this = self.columns[column]
        return [
            name
            for name, other in self.columns.items()
            if (other.metric, other.number) == (this.metric, this.number)
        ]

    @property
    def settings(self) -> dict[Setting, list[StudyRun]]:
        """The runs by their setting, in the order of the sweep."""
        grouped: dict[Setting, list[StudyRun]] = defaultdict(list)
        for run in self.runs:
            grouped[run.setting].append(run)
        return dict(grouped)

    def rows(self) -> list[dict[str, Any]]:
        """A row for each run: run_id, state, train_id, swept values, all columns, and the error."""
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
    """The runs as one table, with plain swept values, and columns whose numbers compare.

    A column is named `metric` if the number has the metric's own name, else `metric.number`.
    Several columns may need the same name and yet not compare (`ml.studies.comparable`): DCI by
    two predictors, scores on two data sets, reconstructions under two likelihoods. Brackets then
    name the values in which they differ: `dci[predictor=lasso].disentanglement`.
    """
    swept = _flat([result.swept for result in results])
    ask = [Comparing(result.spec) for result in results]
    scores = [
        [_number(score.metric, score.name, one.score(score)) for score in result.scores]
        for one, result in zip(ask, results, strict=True)
    ]
    curves = [
        {tag: _number(CURVES, tag, one.curve(tag)) for tag in FINAL if tag in result.final}
        for one, result in zip(ask, results, strict=True)
    ]
    names = _names(
        one for several in (*scores, *(found.values() for found in curves)) for one in several
    )
    columns: dict[str, Column] = {}
    rows = []
    for result, one, place, numbers, ends in zip(results, ask, swept, scores, curves, strict=True):
        values: dict[str, float | None] = {}
        nulls: dict[str, NullDistribution] = {}
        half_widths: dict[str, float] = {}
        missing: dict[str, str] = {}
        for score, of in zip(result.scores, numbers, strict=True):
            column = names[of.metric, of.number, of.key]
            if column not in columns:
                columns[column] = _column(column, score)
            values[column] = score.value
            if score.null is not None:
                nulls[column] = score.null
            if score.value is not None and score.ci95 is not None:
                # An end that is cut to the number's range is nearer than the other.
                low, high = score.ci95
                half_widths[column] = max(score.value - low, high - score.value)
            if score.value is None:
                missing[column] = score.error or "no reason was recorded"
        for tag, end in ends.items():
            values[names[end.metric, end.number, end.key]] = result.final[tag]
        rows.append(
            StudyRun(
                run_id=result.run_id,
                state=result.state,
                train_id=result.train_id,
                swept=place,
                objective=str(result.spec["objective"]["name"]),
                data=alike(one.data),
                seed=int(result.spec["seed"]),
                values=values,
                nulls=nulls,
                half_widths=half_widths,
                error=result.error,
                missing=missing,
                beta=result.beta,
                beta_norm=result.beta_norm,
            )
        )
    for tag, better in FINAL.items():
        for end in (found[tag] for found in curves if tag in found):
            column = names[end.metric, end.number, end.key]
            columns.setdefault(
                column, Column(column, tag, None, None, {}, better, (None, None), None)
            )
    paths = dict.fromkeys(path for place in swept for path in place)
    return Study(name, tuple(rows), tuple(paths), columns)


def _number(metric: str, number: str, basis: Basis) -> _Number:
    return _Number(metric, number, basis, alike(basis))


def _flat(places: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Places whose swept components are spread out into dotted paths to their params."""
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
        # A list (of layers, for instance) becomes text.
        yield path, str(value) if isinstance(value, list | tuple) else value


@dataclass(frozen=True)
class _Number:
    """A number of a run, and what it depends on."""

    metric: str
    number: str
    basis: Basis
    key: str
    """The basis as text (`alike`)."""


def _names(numbers: Iterable[_Number]) -> dict[tuple[str, str, str], str]:
    """The name of each number's column. Numbers that compare share a column."""
    found: dict[tuple[str, str], dict[str, Basis]] = defaultdict(dict)
    for one in numbers:
        found[one.metric, one.number].setdefault(one.key, one.basis)
    names: dict[tuple[str, str, str], str] = {}
    for (metric, number), bases in found.items():
        apart = differing(bases.values())
        for key, basis in bases.items():
            chosen = ",".join(f"{name}={_plain(basis[name])}" for name in apart if name in basis)
            base = f"{metric}[{chosen}]" if chosen else metric
            names[metric, number, key] = base if number == metric else f"{base}.{number}"
    return names


def _plain(value: Any) -> Any:
    return "+".join(map(str, value)) if isinstance(value, list) else value


def _column(name: str, score: Score) -> Column:
    return Column(
        name=name,
        number=score.name,
        metric=score.metric,
        definition=score.definition,
        params={key: value for key, value in score.params.items() if key != "name"},
        higher_is_better=score.higher_is_better,
        range=score.range,
        perfect=score.perfect,
    )
