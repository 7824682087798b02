"""The base of information metrics, which share bins, one matrix, its null and its subsamples."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Annotated, ClassVar, NamedTuple, TypeVar

import numpy as np
from pydantic import Field

from ml.codes.repeated_rows import blocks, first_rows
from ml.codes.uncertainty import (
    Draws,
    Numbers,
    half_width,
    permutations,
    subsample_half_width,
    subsamples,
)
from ml.metrics.information.bulk import bulk_shares
from ml.metrics.information.mutual_information import (
    BINS,
    Information,
    Pairs,
    Recut,
    bins_between,
    counted,
    equal_width_bins,
    factor_classes,
    information,
)
from ml.metrics.information.redrawn_ends import redrawn_ends
from ml.metrics.protocol import AuditSetting, ConstantFactor, Metric, Rows, UnusableRows, Value
from ml.reproducibility.draws import generator

_T = TypeVar("_T")

MOST_REPLICATES = 1000
FEWEST_REPLICATES = 30
MOST_COUNTS = 2_000_000_000
"""Most counts made and cells summed over all replicates. The more each replicate takes, the fewer
replicates there are."""
MOST_COUNTS_OF_POPULATION = 100_000_000_000
"""The same for a population, which has no subsamples. They take about a minute of one core."""
MOST_PERFECT = 64
"""Most factors for scores on perfect codes, where each factor is counted against each."""
REDRAWN_ENDS = 200
MOST_CONSTANT = 0.05
"""Largest share of subsamples in which a factor may be constant. Such subsamples are left out."""


class Binning(NamedTuple):
    """How codes and factors become classes."""

    bins: int
    factor_bins: int | None
    scaled: bool


class InformationMetric(Metric):
    """A metric that is a function of the mutual information of binned codes with factors.

    All metrics of one binning share one matrix, one null of up to a thousand joint permutations,
    and as many subsamples. There are fewer of both if rows x latents x factors, or the cells of the
    table, are above two million. A population has a thousand permutations and no subsamples.
    """

    takes_populations: ClassVar[bool] = True
    audited: ClassVar[Sequence[AuditSetting]] = (AuditSetting(cost="cheap"),)
    bins: Annotated[int, Field(ge=2, le=1000)] = BINS
    """Number of bins of equal width that a code is cut into."""
    factor_bins: Annotated[int, Field(ge=2, le=1000)] | None = None
    """Number of bins that every factor is cut into. Null keeps the values of discrete factors and
    cuts continuous ones into as many bins as codes."""
    scaled: bool = False
    """Scale columns to [0, 1] before they are cut, as Carbonneau et al. do. Only values that lie on
    an edge up to rounding can change their bin."""

    @abstractmethod
    def aggregate(self, known: Information) -> tuple[float, Mapping[str, np.ndarray]]:
        """The score, and the parts that it is made of, for each factor or each code."""

    def aggregates(
        self, known: Information
    ) -> Mapping[str, tuple[float, Mapping[str, np.ndarray]]]:
        """The score and parts of each number, by name, for a metric that gives several."""
        return {self.name: self.aggregate(known)}

    def check(self, rows: Rows) -> None:
        """Raise an error if rows of this shape cannot be scored."""

    def seconds(self, rows: Rows) -> float:
        latents, factors = int(rows.codes.shape[1]), int(rows.factors.shape[1])
        return 1e-3 + 1e-8 * len(rows) * latents * factors

    def compute(self, rows: Rows) -> dict[str, Value]:
        self.check(rows)
        known = _known(rows, self._binning)
        for column in np.flatnonzero(known.factors == 0):
            name = rows.factor_names[column]
            raise ConstantFactor(name, int(column), rows.factors[0, column].item())
        matrices = {
            "factor_entropies": known.factors.tolist(),
            "code_entropies": known.codes.tolist(),
            "mutual_information": known.mutual.tolist(),
            "bulk_shares": _once(rows, "bulk shares", lambda: bulk_shares(rows.codes)).tolist(),
        }
        return {
            number: Value(
                value,
                {
                    "factors": list(rows.factor_names),
                    **{name: part.tolist() for name, part in parts.items()},
                    **matrices,
                },
            )
            for number, (value, parts) in self.aggregates(known).items()
        }

    def on_perfect_codes(self, rows: Rows) -> Mapping[str, Value]:
        if rows.factors.shape[1] > MOST_PERFECT:
            return {}
        return self.compute(_once(rows, "perfect codes", rows.with_perfect_codes))

    def null(self, rows: Rows) -> Draws:
        return self._over(_null(rows, self._binning))

    def half_widths(self, rows: Rows) -> Numbers:
        subsampled, moved = self._over(_subsampled(rows, self._binning)), self._moved(rows)
        # If tails are heavy, the bins move further than subsamples show. Otherwise they move less.
        return {
            name: max(subsample_half_width(values, rows), moved[name])
            for name, values in subsampled.items()
        }

    def lasting_half_widths(self, rows: Rows) -> Numbers:
        """The part of the extremes, or 0 if it is at most half of the interval.

        Extremes of a normal distribution vary nearly as much if there are four times as many rows.
        An interval is the larger of its two parts, and halves if the other part decides it then.
        """
        widths = self.half_widths(rows)
        return {
            name: moved if 2 * moved > widths[name] else 0.0
            for name, moved in self._moved(rows).items()
        }

    def _moved(self, rows: Rows) -> Numbers:
        moved = self._over(_between_redrawn_ends(rows, self._binning))
        return {name: half_width(values) for name, values in moved.items()}

    @property
    def _binning(self) -> Binning:
        return Binning(self.bins, self.factor_bins, self.scaled)

    def _over(self, several: Iterable[Information]) -> Draws:
        found = [self.aggregates(known) for known in several]
        return {
            number.name: np.array([one[number.name][0] for one in found]) for number in self.numbers
        }


def _known(rows: Rows, binning: Binning) -> Information:
    return _once(rows, ("information", binning), lambda: information(*_classes(rows, binning)))


def _null(rows: Rows, binning: Binning) -> list[Information]:
    def compute() -> list[Information]:
        codes, factors = _classes(rows, binning)
        most = MOST_COUNTS_OF_POPULATION if rows.population else MOST_COUNTS
        orders = permutations(rows, _number(codes, factors, most))
        pairs = Pairs(codes, factors)
        found: list[Information] = []
        # Counts are whole numbers, so the result does not depend on the number of threads.
        with ThreadPoolExecutor(rows.threads) as pool:
            while some := list(islice(orders, rows.threads)):
                found += pool.map(pairs.information, some)
        return found

    return _once(rows, ("information under the null", binning), compute)


def _subsampled(rows: Rows, binning: Binning) -> list[Information]:
    def compute() -> list[Information]:
        replicates = _number(*_classes(rows, binning))
        parts = _Parts(rows, binning)
        found = [counted(*parts.classes(index)) for index in subsamples(rows, replicates)]
        varying = [known for known in found if (known.factors > 0).all()]
        if len(varying) < (1 - MOST_CONSTANT) * replicates:
            raise UnusableRows(
                f"a factor is constant in {replicates - len(varying)} of {replicates} subsamples"
            )
        return varying

    return _once(rows, ("information of subsamples", binning), compute)


def _between_redrawn_ends(rows: Rows, binning: Binning) -> list[Information]:
    """Information of the same rows, with their bins cut between the ends of other draws."""

    def compute() -> list[Information]:
        codes, factors = _classes(rows, binning)
        number = min(REDRAWN_ENDS, _number(codes, factors))
        bins = binning.factor_bins or binning.bins
        cut = [
            column
            for column, kind in enumerate(rows.factor_kinds)
            if kind == "continuous" or binning.factor_bins is not None
        ]
        # Repeated rows count once.
        first = first_rows(blocks(rows))
        draws = generator(rows.seed, "ends")
        of_codes = redrawn_ends(rows.codes[first], number, draws)
        of_factors = redrawn_ends(rows.factors[first][:, cut], number, draws) if cut else None
        found = []
        for k in range(number):
            rows.continue_or_stop()
            codes = bins_between(rows.codes, binning.bins, of_codes[0][k], of_codes[1][k])
            if of_factors is not None:
                factors[:, cut] = bins_between(
                    rows.factors[:, cut], bins, of_factors[0][k], of_factors[1][k]
                )
            found.append(counted(codes, factors))
        return [known for known in found if (known.factors > 0).all()]

    return _once(rows, ("information between redrawn ends", binning), compute)


def _once(rows: Rows, key: Hashable, compute: Callable[[], _T]) -> _T:
    if key not in rows.shared:
        rows.shared[key] = compute()
    found: _T = rows.shared[key]
    return found


def _classes(rows: Rows, binning: Binning) -> tuple[np.ndarray, np.ndarray]:
    bins, factor_bins, scaled = binning
    return (
        equal_width_bins(rows.codes, bins, scaled=scaled),
        factor_classes(
            rows, factor_bins or bins, all_factors=factor_bins is not None, scaled=scaled
        ),
    )


class _Parts:
    """The classes of one part of the rows after another.

    Each part is cut between its own minimum and maximum, as a fresh sample would be. The classes
    are those that `_classes` gives of the part.
    """

    def __init__(self, rows: Rows, binning: Binning) -> None:
        bins, factor_bins, scaled = binning
        self._codes = Recut(rows.codes, bins, scaled=scaled)
        self._cut = [
            column
            for column, kind in enumerate(rows.factor_kinds)
            if kind == "continuous" or factor_bins is not None
        ]
        values = rows.factors[:, self._cut]
        self._factors = Recut(values, factor_bins or bins, scaled=scaled)
        self._known = np.zeros(rows.factors.shape, dtype=np.int64)
        for column in set(range(rows.factors.shape[1])) - set(self._cut):
            values = rows.factors[:, column]
            self._known[:, column] = np.unique(values, return_inverse=True)[1]

    def classes(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        factors = self._known[index]
        factors[:, self._cut] = self._factors.bins(index)
        for column in range(factors.shape[1]):
            present = np.bincount(factors[:, column]) > 0
            if column not in self._cut and not present.all():
                # Classes that the part lacks are not counted.
                factors[:, column] = (np.cumsum(present) - 1)[factors[:, column]]
        return self._codes.bins(index), factors


def _number(codes: np.ndarray, factors: np.ndarray, most: int = MOST_COUNTS) -> int:
    """How many replicates to make of classes (samples, latents) and (samples, factors)."""
    cells = codes.shape[1] * (int(codes.max()) + 1) * int((factors.max(0) + 1).sum())
    cost: int = max(codes.size * factors.shape[1], cells)
    return max(FEWEST_REPLICATES, min(MOST_REPLICATES, most // cost))
