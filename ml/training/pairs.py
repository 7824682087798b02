"""Which pairs of images a batch has that share all factors but a few."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int, Int64

from ml.datasets.dataset import Dataset
from ml.objectives.protocol import Pairs
from ml.reproducibility.draws import generator
from ml.spec.choices import Sampling
from ml.training.sampling import Drawing, indices
from ml.training.unmet_needs import UnmetNeeds

ATTEMPTS = 1000
"""How often a partner is drawn until one is among the images."""
PATIENCE = 50
"""After so many attempts in vain, another first image is drawn."""


class PairBatch(NamedTuple):
    """The pairs of a step."""

    first: Int64[np.ndarray, "batch"]
    second: Int64[np.ndarray, "batch"]
    changed: Bool[np.ndarray, "batch factors"]
    """Which factors differ."""


class PairTable:
    """The images whose factors are all known, found by their factors.

    All runs of a cohort share it. It takes 8 bytes an image, and if the data set is no full grid,
    16 more and 8 for each factor.
    """

    def __init__(self, data: Dataset) -> None:
        self.name, self.data = data.name, data
        if math.prod(data.factor_sizes) >= 2**63:
            raise UnmetNeeds(data.name, "factors of fewer than 2^63 combinations")
        self.rows = rows = data.labelled()
        self.weights: Float64[np.ndarray, "rows"] | None = (
            None if data.weights is None else data.weights[rows]
        )
        self._heaviest = 1.0 if self.weights is None else float(self.weights.max(initial=0))
        self._codes: np.ndarray | None = None
        self.varying = np.array([size > 1 for size in data.factor_sizes])
        if not data.is_grid:
            known = data.factors(rows)
            assert known is not None
            self._codes = known.astype(np.int64)
            self.varying &= [len(rows) > 0 and np.ptp(column) > 0 for column in self._codes.T]
            keys = self._keys(self._codes)
            self._order = np.argsort(keys, kind="stable")
            self._sorted = keys[self._order]

    def codes(self, rows: Int64[np.ndarray, "samples"]) -> Int64[np.ndarray, "samples factors"]:
        """The factors of rows of this table."""
        if self._codes is not None:
            known: np.ndarray = self._codes[rows]
            return known
        found = self.data.factors(rows)
        assert found is not None
        return found

    def find(
        self, draws: np.random.Generator, codes: Int64[np.ndarray, "samples factors"]
    ) -> Int64[np.ndarray, "samples"]:
        """A row with these factors, or -1. If several have them, one is drawn.

        A row that weighs half as much as the heaviest is found half of the time, and so on.
        """
        if self._codes is None:
            found = self.data.index(codes)
        else:
            keys = self._keys(codes)
            low = np.searchsorted(self._sorted, keys, side="left")
            count = np.searchsorted(self._sorted, keys, side="right") - low
            at = low + (draws.random(len(keys)) * count).astype(np.int64)
            found = np.where(count > 0, self._order[np.minimum(at, len(self._order) - 1)], -1)
        if self.weights is not None:
            light = draws.random(len(found)) * self._heaviest >= self.weights[found]
            found = np.where(light, -1, found)
        return found

    def _keys(self, codes: Int64[np.ndarray, "samples factors"]) -> Int64[np.ndarray, "samples"]:
        keys: np.ndarray = np.ravel_multi_index(tuple(codes.T), self.data.factor_sizes)
        return keys


class PairIndices:
    """The pairs of each step. They depend only on the seed and the step.

    The first image is drawn as the run's sampling says, among the images whose factors are all
    known. For its partner, `changed` of the factors that take several values are drawn, and for
    each of these another of its values. If there is no such image, factors and values are drawn
    again; after `PATIENCE` attempts the first image, too. If images have weights, the partner is
    drawn by them among the images that it could be.

    Locatello et al. (2020) draw values anew that may be the same again, and their code changes
    either a single factor or `changed` of them, with equal odds. Here exactly `changed` differ.

    Raises:
        UnmetNeeds: no image has a partner.
    """

    def __init__(
        self, table: PairTable, pairs: Pairs, *, seed: int, sampling: Sampling, batch: int
    ) -> None:
        self._table, self._pairs, self._seed, self._batch = table, pairs, seed, batch
        if not len(table.rows):
            raise UnmetNeeds(table.name, "images whose factors are all known")
        self._again = Drawing(len(table.rows), table.weights)
        self._first = indices(
            sampling,
            seed=seed,
            number=0,
            images=len(table.rows),
            batch=batch,
            weights=table.weights,
        )
        self._columns = np.flatnonzero(table.varying)
        self._sizes = np.array(table.data.factor_sizes)[self._columns]
        self._step, self._drawn = -1, self._draw(0)

    def at(self, step: int) -> PairBatch:
        if step != self._step:
            self._step, self._drawn = step, self._draw(step)
        return self._drawn

    def _draw(self, step: int) -> PairBatch:
        draws = generator(self._seed, "pairs", step)
        table, columns = self._table, self._columns
        first = self._first.at(step).astype(np.int64)
        second = np.full(self._batch, -1)
        changed = np.zeros((self._batch, len(table.varying)), dtype=bool)
        left = np.arange(self._batch)
        for attempt in range(ATTEMPTS):
            if attempt and attempt % PATIENCE == 0:
                first[left] = self._again(draws, len(left))
            codes, differ = table.codes(first[left]), self._differ(draws, len(left))
            others = codes[:, columns] + draws.integers(1, self._sizes, size=differ.shape)
            codes[:, columns] = np.where(differ, others % self._sizes, codes[:, columns])
            second[left] = table.find(draws, codes)
            changed[np.ix_(left, columns)] = differ
            left = left[second[left] < 0]
            if not len(left):
                return PairBatch(table.rows[first], table.rows[second], changed)
        raise UnmetNeeds(
            table.name,
            f"pairs of images that differ in {self._pairs.changed or 'some'} factors alone; the"
            f" images have too few of the combinations ({ATTEMPTS} attempts)",
        )

    def _differ(self, draws: np.random.Generator, count: int) -> Bool[np.ndarray, "count columns"]:
        """Factors drawn to differ, as many as `changed` says for each row."""
        number: int | Int[np.ndarray, "count 1"] = self._pairs.changed or draws.integers(
            1, max(2, len(self._columns)), size=(count, 1)
        )
        ranks = draws.random((count, len(self._columns))).argsort(axis=1).argsort(axis=1)
        found: np.ndarray = ranks < number
        return found
