"""A study: the runs of an experiment as one table, with a row for each run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ml.metrics.protocol import NullDistribution, Score
from ml.studies.comparable import differing
from ml.studies.number_kinds import ENDS, NumberKind, NumberKinds
from ml.studies.stored_score import StoredScore, StoredScores, half_width, like

SEED = "seed"


_PLAIN = (str, int, float, bool, type(None))


@dataclass(frozen=True)
class RunResult:
    """The result at one place of an experiment's sweep."""

    run_id: str
    state: str
    train_id: str
    spec: Mapping[str, Any]
    """The resolved spec. Runs that differ in the seed alone may share one object."""
    swept: Mapping[str, Any]
    """Dotted path to its value at this place. A value may be a whole component."""
    scores: Sequence[Score | StoredScore] = ()
    """Scores of the evaluation that the experiment asked for."""
    final: Mapping[str, float] = field(default_factory=dict)
    """The last point of each training curve, by tag."""
    error: str | None = None
    beta: float | None = None
    """Beta as the objective uses it; None for an objective without a beta."""
    beta_norm: float | None = None
    """beta x latents / pixels (Higgins et al.); None for an objective without a beta."""
    seed: int | None = None
    """None stands for that of the spec."""


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


@dataclass(frozen=True, slots=True)
class ScoresByColumn:
    """The scores of a run by the names of their columns."""

    columns: Sequence[str]
    scores: Sequence[Score | StoredScore]

    def get(self, column: str) -> Score | StoredScore | None:
        """The score in a column; None if the run has none there."""
        return self.scores[self.columns.index(column)] if column in self.columns else None

    def half_widths(self) -> dict[str, float | None]:
        """Half the 95 % interval of the score in each column; None where it has none."""
        scores = self.scores
        widths = (
            scores.half_widths()
            if isinstance(scores, StoredScores)
            else [_half_width(score) for score in scores]
        )
        # Reversed, so that the first of a column counts, as in `get`.
        return dict(zip(reversed(self.columns), reversed(widths), strict=True))


SettingKey = tuple[tuple[str, bool, Any], ...]
"""What is equal for equal settings alone."""


class Setting(tuple[tuple[str, Any], ...]):
    """Pairs of swept path and value. True and 1 are different settings, although they are equal."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Setting) and self._key == other._key

    def __ne__(self, other: object) -> bool:
        # The tuple's own comparison would find True and 1 equal.
        return not self == other

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash(self._key)

    @cached_property
    def _key(self) -> SettingKey:
        return _key(self)


def _key(setting: Iterable[tuple[str, Any]]) -> SettingKey:
    return tuple([(path, isinstance(value, bool), value) for path, value in setting])


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
    scores: Mapping[str, Score | StoredScore] | ScoresByColumn = field(default_factory=dict)
    """Scores by the name of their column."""
    error: str | None = None
    beta: float | None = None
    beta_norm: float | None = None

    @cached_property
    def setting(self) -> Setting:
        """The swept values without the seed. It is equal for runs that differ only in the seed."""
        return Setting(item for item in self.swept.items() if item[0] != SEED)

    def null(self, column: str) -> NullDistribution | None:
        """The null of a score; None if it has none."""
        score = self.scores.get(column)
        return None if score is None else score.null

    def half_widths(self) -> Mapping[str, float | None]:
        """Half the 95 % interval of each score by its column; None where it has none."""
        if isinstance(self.scores, ScoresByColumn):
            return self.scores.half_widths()
        return {column: _half_width(score) for column, score in self.scores.items()}

    def missing(self, column: str) -> str | None:
        """Why a score has no value; None if it has one, or was not asked for."""
        score = self.scores.get(column)
        if score is None or score.value is not None:
            return None
        return score.error or "no reason was recorded"

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

    @cached_property
    def settings(self) -> dict[Setting, list[StudyRun]]:
        """The runs by their setting, in the order of the sweep."""
        return {
            setting: [self.runs[place] for place in places]
            for setting, places in self.places.items()
        }

    @cached_property
    def places(self) -> dict[Setting, list[int]]:
        """The places of each setting's runs among all runs."""
        # Plain tuples are hashed quicker than settings.
        grouped: dict[SettingKey, list[int]] = defaultdict(list)
        for place, run in enumerate(self.runs):
            grouped[_key(item for item in run.swept.items() if item[0] != SEED)].append(place)
        return {self.runs[places[0]].setting: places for places in grouped.values()}

    def rows(self) -> list[dict[str, Any]]:
        """A row for each run: run_id, state, train_id, swept values, all columns, and the error."""
        paths, columns = self.paths, tuple(self.columns)
        rows = []
        for run in self.runs:
            row: dict[str, Any] = {
                "run_id": run.run_id,
                "state": run.state,
                "train_id": run.train_id,
            }
            row.update(zip(paths, [run.swept.get(path) for path in paths], strict=True))
            row.update(zip(columns, [run.values.get(name) for name in columns], strict=True))
            row["error"] = run.error
            rows.append(row)
        return rows


def study(name: str, results: Sequence[RunResult]) -> Study:
    """The runs as one table, with plain swept values, and columns whose numbers compare.

    A column is named `metric` if the number has the metric's own name, else `metric.number`.
    Several columns may need the same name and yet not compare (`ml.studies.comparable`): DCI by
    two predictors, scores on two data sets, reconstructions under two likelihoods. Brackets then
    name the values in which they differ: `dci[predictor=lasso].disentanglement`.
    """
    swept = _flat([result.swept for result in results])
    kinds = NumberKinds()
    scores = [kinds.scores(result.scores, result.spec) for result in results]
    curves = [kinds.curves(result.final, result.spec) for result in results]
    # Most runs have the ends of the same curves, as one object.
    distinct = list({id(found): found for found in curves}.values())
    ends_of = (found.values() for found in distinct)
    names = _names(
        dict.fromkeys(one for several in (*dict.fromkeys(scores), *ends_of) for one in several)
    )
    # Most runs have scores of the same kinds.
    named = {several: tuple(names[one] for one in several) for several in dict.fromkeys(scores)}
    columns: dict[str, Column] = {}
    rows = []
    for result, place, numbers, ends in zip(results, swept, scores, curves, strict=True):
        of_scores = named[numbers]
        for place_of, column in enumerate(of_scores):
            if column not in columns:
                columns[column] = _column(column, like(result.scores[place_of]))
        values = dict(zip(of_scores, _values(result.scores), strict=True))
        final = result.final
        for tag, end in ends.items():
            values[names[end]] = final[tag]
        rows.append(
            StudyRun(
                run_id=result.run_id,
                state=result.state,
                train_id=result.train_id,
                swept=place,
                objective=str(result.spec["objective"]["name"]),
                data=kinds.of(result.spec).as_text,
                seed=int(result.spec["seed"] if result.seed is None else result.seed),
                values=values,
                scores=ScoresByColumn(of_scores, result.scores),
                error=result.error,
                beta=result.beta,
                beta_norm=result.beta_norm,
            )
        )
    for tag, better in ENDS.items():
        for end in (found[tag] for found in distinct if tag in found):
            column = names[end]
            columns.setdefault(
                column, Column(column, tag, None, None, {}, better, (None, None), None)
            )
    paths = dict.fromkeys(path for place in swept for path in place)
    return Study(name, tuple(rows), tuple(paths), columns)


def _flat(places: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Places whose swept components are spread out into dotted paths to their params."""
    if all(isinstance(value, _PLAIN) for place in places for value in place.values()):
        return [dict(place) for place in places]
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


def _half_width(score: Score | StoredScore) -> float | None:
    if score.value is None or (ci95 := score.ci95) is None:
        return None
    return half_width(score.value, *ci95)


def _values(scores: Sequence[Score | StoredScore]) -> list[float | None]:
    return scores.values() if isinstance(scores, StoredScores) else [one.value for one in scores]


def _names(numbers: Iterable[NumberKind]) -> dict[NumberKind, str]:
    """The name of each number's column."""
    found: dict[tuple[str, str], list[NumberKind]] = defaultdict(list)
    for one in numbers:
        found[one.metric, one.number].append(one)
    names: dict[NumberKind, str] = {}
    for (metric, number), several in found.items():
        apart = differing(one.basis for one in several)
        for one in several:
            chosen = ",".join(
                f"{name}={_plain(one.basis[name])}" for name in apart if name in one.basis
            )
            base = f"{metric}[{chosen}]" if chosen else metric
            names[one] = base if number == metric else f"{base}.{number}"
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
