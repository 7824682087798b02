"""The kinds of numbers that runs have: what each depends on, worked out once for all of them."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ml.metrics.protocol import Score
from ml.studies.comparable import Basis, Comparing, alike
from ml.studies.stored_score import StoredScore, StoredScores, like

CURVES = "final"
"""What stands for the metric's name in numbers that are the ends of training curves."""
ENDS = {"loss": None, "reconstruction": False, "kl": None}
"""Training curves whose last points are the columns `final.<tag>`, and whether higher is better."""


@dataclass(frozen=True, eq=False)
class NumberKind:
    """A number of runs, and what it depends on. Numbers that compare are one object."""

    metric: str
    number: str
    basis: Basis
    key: str
    """The basis as text (`alike`)."""


class NumberKinds:
    """Says what kind of number a score or the end of a curve is.

    Runs share specs, and scores share what is alike in them (`StoredScore.like`). What was asked of
    an object before is looked up by the object's id, so the caller keeps all of them meanwhile.
    """

    def __init__(self) -> None:
        self._specs: dict[int, Comparing] = {}
        self._scores: dict[tuple[int, int], NumberKind] = {}
        self._told: dict[tuple[int, str], NumberKind] = {}
        self._several: dict[tuple[int, int], tuple[NumberKind, ...]] = {}
        self._same: dict[tuple[NumberKind, ...], tuple[NumberKind, ...]] = {}
        self._ends: dict[tuple[tuple[str, ...], int], Mapping[str, NumberKind]] = {}
        self._same_ends: dict[tuple[NumberKind, ...], Mapping[str, NumberKind]] = {}
        self._curves: dict[tuple[str, int], NumberKind] = {}
        self._kinds: dict[tuple[str, str, str], NumberKind] = {}

    def of(self, spec: Mapping[str, Any]) -> Comparing:
        """What numbers of runs with this spec depend on."""
        found = self._specs.get(id(spec))
        if found is None:
            found = self._specs[id(spec)] = Comparing(spec)
        return found

    def score(self, score: Score | StoredScore, spec: Mapping[str, Any]) -> NumberKind:
        """The kind of a score of a run with this spec."""
        one = like(score)
        found = self._scores.get((id(one), id(spec)))
        if found is None:
            # Most specs differ in what no score depends on.
            comparing = self.of(spec)
            told = id(one), comparing.told(one)
            found = self._told.get(told)
            if found is None:
                found = self._kind(one.metric, one.name, comparing.score(one))
                self._told[told] = found
            self._scores[id(one), id(spec)] = found
        return found

    def scores(
        self, scores: Sequence[Score | StoredScore], spec: Mapping[str, Any]
    ) -> tuple[NumberKind, ...]:
        """The kinds of the scores of an evaluation of a run with this spec."""
        if not isinstance(scores, StoredScores):
            return tuple(self.score(score, spec) for score in scores)
        key = id(scores.alike), id(spec)
        found = self._several.get(key)
        if found is None:
            kinds = tuple(self.score(one, spec) for one in scores.alike)
            found = self._several[key] = self._same.setdefault(kinds, kinds)
        return found

    def curves(self, final: Container[str], spec: Mapping[str, Any]) -> Mapping[str, NumberKind]:
        """The kinds of the ends of a run's curves by their tags, which are among those of `ENDS`.

        It is one object for all runs with this spec that have ends of the same curves.
        """
        tags = tuple([tag for tag in ENDS if tag in final])
        found = self._ends.get((tags, id(spec)))
        if found is None:
            kinds = {tag: self.curve(tag, spec) for tag in tags}
            same = tuple(kinds.values())
            found = self._ends[tags, id(spec)] = self._same_ends.setdefault(same, kinds)
        return found

    def curve(self, tag: str, spec: Mapping[str, Any]) -> NumberKind:
        """The kind of the end of a run's training curve."""
        found = self._curves.get((tag, id(spec)))
        if found is None:
            found = self._kind(CURVES, tag, self.of(spec).curve(tag))
            self._curves[tag, id(spec)] = found
        return found

    def _kind(self, metric: str, number: str, basis: Basis) -> NumberKind:
        key = alike(basis)
        return self._kinds.setdefault((metric, number, key), NumberKind(metric, number, basis, key))
