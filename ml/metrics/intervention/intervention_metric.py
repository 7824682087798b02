"""The base of interventional metrics: their draws, their null and their interval."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from itertools import islice
from threading import Event
from typing import ClassVar, TypeAlias, TypeVar

import numpy as np
from jaxtyping import Int

from ml.codes.uncertainty import (
    Draws,
    Numbers,
    half_width,
    permutations,
    subsample_half_width,
    subsamples,
)
from ml.metrics.protocol import Metric, Rows, Value
from ml.reproducibility.draws import generator
from ml.reproducibility.linear_algebra import single_threaded

_T = TypeVar("_T")
Values: TypeAlias = Mapping[str, Value]

FEWEST_REPLICATES = 30
MOST_REPLICATES = 1000
NULL_SECONDS = 5.0
"""Seconds that a null may take on one core."""
NULL_SECONDS_OF_POPULATION = 180.0
ASKED_EACH = 0.5
"""Seconds between two calls of `continue_or_stop` while threads work."""
MOST_SUBSAMPLES = 100
SUBSAMPLE_SECONDS = 2.0
MOST_VALUES = 200_000_000
"""Most values of codes that batches draw between two calls of `continue_or_stop`, which takes
less than a second."""
Z = half_width(np.array([-1.0, 1.0])) / math.sqrt(2)
"""1.96: half the width of a 95 % interval in standard errors."""


class _StoppedByAnother(Exception):
    """Another thread was told to stop."""


class InterventionMetric(Metric):
    """A metric of groups of rows that share the value of a factor.

    On codes that know nothing, groups are random rows. So the null permutes the groups' labels, and
    each replicate has its own draws. The interval is that of subsamples of rows.
    """

    takes_populations: ClassVar[bool] = True

    @abstractmethod
    def labels(self, rows: Rows) -> Int[np.ndarray, "factors samples"]:
        """The group of each row, for each factor."""

    @abstractmethod
    def judged(
        self,
        rows: Rows,
        labels: Int[np.ndarray, "factors samples"],
        draws: np.random.Generator,
    ) -> dict[str, Value]:
        """The numbers of the rows' codes with these groups, which may be others than the rows'."""

    def draw_variances(self, values: Numbers, factors: int) -> Numbers:  # noqa: ARG002
        """The variance of each number over the metric's own draws. By default there are none."""
        return dict.fromkeys(values, 0.0)

    def compute(self, rows: Rows) -> dict[str, Value]:
        return self.judged(rows, self.labels(rows), generator(rows.seed, self.name))

    def null(self, rows: Rows) -> Draws:
        labels = self.labels(rows)
        return self.permuted(
            rows, lambda of, index, draws: self.judged(of, labels.take(index, axis=1), draws)
        )

    def permuted(
        self,
        rows: Rows,
        judged: Callable[[Rows, Int[np.ndarray, "samples"], np.random.Generator], Values],
    ) -> Draws:
        """The numbers on permuted rows, by `rows.threads` threads.

        Each permutation has draws of its own, so that threads change no bits.
        """
        # What replicates share is computed before there are threads.
        self.compute(rows)
        stopped = Event()

        def go_on() -> None:
            if stopped.is_set():
                raise _StoppedByAnother

        # Only this thread asks whether to go on, as whoever is asked may not bear others.
        quiet = replace(rows, continue_or_stop=go_on, shared=rows.shared)

        def of_one(k: int, index: np.ndarray) -> dict[str, float]:
            found = judged(quiet, index, generator(rows.seed, f"null of {self.name}", k))
            # Details of each replicate would fill the memory.
            return {name: one.value for name, one in found.items()}

        several: list[dict[str, float]] = []
        numbered = enumerate(permutations(rows, self.replicates(rows)))
        with single_threaded(), ThreadPoolExecutor(rows.threads) as pool:
            try:
                while some := list(islice(numbered, rows.threads)):
                    found = [pool.submit(of_one, *one) for one in some]
                    while wait(found, timeout=ASKED_EACH).not_done:
                        rows.continue_or_stop()
                    several += [one.result() for one in found]
            finally:
                stopped.set()
        return {name: np.array([one[name] for one in several]) for name in several[0]}

    def half_widths(self, rows: Rows) -> Numbers:
        labels = self.labels(rows)
        draws = generator(rows.seed, f"subsamples of {self.name}")
        affordable = int(SUBSAMPLE_SECONDS / self.seconds(rows))
        number = min(MOST_SUBSAMPLES, max(FEWEST_REPLICATES, affordable))
        drawn = collected(
            self.judged(rows.take(index, len(index)), labels.take(index, axis=1), draws)
            for index in subsamples(rows, number)
        )
        found = {}
        for name, values in drawn.items():
            # Subsamples are scaled as if their variance grew with fewer rows. That of the draws
            # does not, so what is counted of it beyond once is taken off.
            width = subsample_half_width(values, rows)
            scale = (width / half_width(values)) ** 2 if width else 1.0
            of_draws = np.mean(
                [self.draw_variances({name: one}, len(labels))[name] for one in values]
            )
            found[name] = math.sqrt(max(width**2 - (scale - 1) * of_draws * Z**2, of_draws * Z**2))
        return found

    def half_widths_of_draws(self, rows: Rows) -> Numbers:
        variances = self.draw_variances(self.values(rows), rows.factors.shape[1])
        return {name: Z * math.sqrt(variance) for name, variance in variances.items()}

    def replicates(self, rows: Rows) -> int:
        """How many permutations the null has."""
        seconds = NULL_SECONDS_OF_POPULATION if rows.population else NULL_SECONDS
        return min(MOST_REPLICATES, max(FEWEST_REPLICATES, int(seconds / self.seconds(rows))))


def once(rows: Rows, key: Hashable, compute: Callable[[], _T]) -> _T:
    """What `compute` gives, computed once for these rows, whatever their labels."""
    if key not in rows.shared:
        rows.shared[key] = compute()
    found: _T = rows.shared[key]
    return found


def parts(points: int, values: int, rows: Rows) -> Iterator[int]:
    """How many points to draw at a time, of which each draws so many values of codes."""
    at_once = max(1, MOST_VALUES // values)
    for begin in range(0, points, at_once):
        rows.continue_or_stop()
        yield min(at_once, points - begin)


def collected(several: Iterable[Mapping[str, Value]]) -> Draws:
    """The values of each number over replicates."""
    # Details of each replicate would fill the memory.
    values = [{name: one.value for name, one in found.items()} for found in several]
    return {name: np.array([one[name] for one in values]) for name in values[0]}
