"""Choices that every data set offers: which images, which factors, and how often each is drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, StrictFloat, StrictInt, StrictStr

from ml.components.described import Described
from ml.components.registry import nearest
from ml.components.spec_errors import Fault, shown
from ml.datasets.dataset import Dataset
from ml.reproducibility.draws import generator

MOST_VALUES = 1000
MOST_FACTORS = 64
MOST_COMBINATIONS = 64
FEWEST_IMAGES = 2

FactorName: TypeAlias = Annotated[str, Field(min_length=1, max_length=100)]
Value: TypeAlias = StrictInt | StrictFloat | Annotated[StrictStr, Field(max_length=200)]
Values: TypeAlias = Annotated[tuple[Value, ...], Field(min_length=1, max_length=MOST_VALUES)]
Combination: TypeAlias = Annotated[
    Mapping[FactorName, Values], Field(min_length=1, max_length=MOST_FACTORS)
]
Part: TypeAlias = Literal["chosen", "left_out", "all"]
"""Images that the choices keep, those that they leave out, or both."""


class UnfitChoice(ValueError):
    """A choice does not fit the data set: it has no such factor or value, or too few images."""

    advice = "correct the dataset's params only, without, images, keep_factors or correlated"

    def __init__(self, name: str, faults: Sequence[Fault]) -> None:
        self.name, self.faults = name, list(faults)
        listed = "; ".join(f"{f.path}: expected {f.expected}, but got {f.got}" for f in faults)
        super().__init__(f"the choices do not fit the data set {name}: {listed}")


class Correlation(Described):
    """Two factors whose values occur together more often in training.

    A pair of values is drawn with probability proportional to exp(-(a - b)^2 / (2 sigma^2)). Here a
    and b are the factors' values on a scale from 0 (the first) to 1 (the last).

    References:
        Träuble et al., 2021, https://arxiv.org/abs/2006.07886
        Roth et al., 2023, https://arxiv.org/abs/2210.07347
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    factors: tuple[FactorName, FactorName]
    """The names of the two factors."""
    sigma: Annotated[float, Field(ge=0.01, le=100)]
    """The width of the distribution. The smaller it is, the stronger the correlation. The studies
    take 0.1 to 0.7."""
    inverse: bool = False
    """Whether a high value of one factor goes with a low value of the other: b is 1 - b above."""


class Choices(Described):
    """Params that every data set has."""

    only: Mapping[FactorName, Values] = Field(default_factory=dict, max_length=MOST_FACTORS)
    """Keeps only the images with these values of a factor, as `{shape: [0, 1]}`. A value is its
    number from 0, or its name if the factor's values have names. Of a continuous factor, give the
    lowest and the highest value."""
    without: Annotated[tuple[Combination, ...], Field(max_length=MOST_COMBINATIONS)] = ()
    """Holds out combinations: images that have all the values of an entry, as
    `[{shape: [2], posX: [16, 17, 18]}]`. It may also be the name of one of the data set's published
    splits. `evaluation.images: left_out` scores on the images that are held out."""
    images: Annotated[int, Field(ge=FEWEST_IMAGES)] | None = None
    """Keeps only so many of the images, drawn at random; by default all."""
    images_seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 0
    """The seed of that draw."""
    keep_factors: (
        Annotated[tuple[FactorName, ...], Field(min_length=1, max_length=MOST_FACTORS)] | None
    ) = None
    """Keeps only these factors, in this order. Images stay the same, and scores are about these
    factors alone."""
    correlated: Annotated[tuple[Correlation, ...], Field(max_length=MOST_FACTORS)] = ()
    """Correlates pairs of factors in training. Evaluation draws all images alike."""

    def leaves_out(self) -> bool:
        """Whether some images may be left out."""
        return bool(self.only or self.without or self.images is not None)


class Known(NamedTuple):
    """What is known of a factor before or after a data set is opened."""

    size: int
    kind: Literal["discrete", "continuous"] = "discrete"
    values: tuple[str, ...] = ()
    """The names of its values, if they have names."""


def factors_of(data: Dataset) -> dict[str, Known]:
    """The factors of an open data set."""
    described = zip(data.factor_names, data.factor_sizes, data.factor_kinds, strict=True)
    return {
        name: Known(size, kind, data.factor_values.get(name, ())) for name, size, kind in described
    }


def unfit(choices: Choices, factors: Mapping[str, Known]) -> list[Fault]:
    """The choices that name no factor or value of a data set with these factors, as faults."""
    named: list[tuple[str, str, Values | None]] = [
        (f"only.{name}", name, values) for name, values in choices.only.items()
    ]
    for k, combination in enumerate(choices.without):
        named += [(f"without[{k}].{name}", name, of) for name, of in combination.items()]
    named += [
        (f"keep_factors[{k}]", name, None) for k, name in enumerate(choices.keep_factors or ())
    ]
    for k, pair in enumerate(choices.correlated):
        named += [
            (f"correlated[{k}].factors[{i}]", one, None) for i, one in enumerate(pair.factors)
        ]
    faults = []
    for path, name, values in named:
        if name not in factors:
            known = (
                "one of " + ", ".join(factors) if factors else "none, as the images have no factors"
            )
            faults.append(Fault(path, shown(name), known, nearest(name, factors)))
        elif values is not None and (fault := _unfit_values(path, values, factors[name])):
            faults.append(fault)
    kept = choices.keep_factors or ()
    if len(set(kept)) < len(kept):
        faults.append(Fault("keep_factors", list(kept), "different factors"))
    for k, pair in enumerate(choices.correlated):
        if pair.factors[0] == pair.factors[1]:
            faults.append(Fault(f"correlated[{k}].factors", list(pair.factors), "two factors"))
    return faults


def why_incomplete(choices: Choices, factors: Mapping[str, Known], part: Part) -> str | None:
    """Why the choices certainly leave no complete grid of a complete grid; None if they may.

    Held-out combinations of several factors may fit together, so only a single one is judged.
    """
    if part == "chosen" and len(choices.without) == 1 and not choices.only:
        held_out = [
            name
            for name, values in choices.without[0].items()
            if name in factors and len(set(values)) < factors[name].size
        ]
        if len(held_out) > 1:
            return f"dataset.without holds out combinations of {' and '.join(held_out)}"
    kept = choices.keep_factors
    for name, factor in factors.items():
        values = set(choices.only.get(name, ())) if part == "chosen" else ()
        if kept is not None and name not in kept and factor.size > 1 and len(values) != 1:
            return f"dataset.keep_factors leaves out {name}, so that combinations occur repeatedly"
    return None


def choose(data: Dataset, choices: Choices, part: Part = "chosen") -> Dataset:
    """The images of a part, numbered anew, with the factors and weights that are chosen.

    The values of a discrete factor are numbered anew from 0 if some do not occur any more. Their
    former numbers are their names then, if they had none.

    Raises:
        UnfitChoice: a factor or value does not occur in the data, or fewer than 2 images are left.
    """
    if faults := unfit(choices, factors_of(data)):
        raise UnfitChoice(data.name, faults)
    if not (choices.leaves_out() or choices.keep_factors or choices.correlated):
        return data
    labels = _labels(data)
    index = _part(data, labels, choices, part)
    if len(index) < FEWEST_IMAGES:
        what = f"at least {FEWEST_IMAGES} images"
        raise UnfitChoice(data.name, [Fault("images", f"{len(index)} of {len(data)}", what)])
    weights = _weights(data, labels, choices)
    everything = len(index) == len(data)
    found = replace(
        data,
        chosen=data.chosen
        if everything
        else (index if data.chosen is None else data.chosen[index]),
        labels=data.labels if everything else (None if labels is None else labels[index]),
        weights=None if weights is None else weights[index],
    )
    if not everything and labels is not None:
        found = _numbered_anew(found)
    return _with_factors(found, choices.keep_factors) if choices.keep_factors else found


def _labels(data: Dataset) -> NDArray[np.int64] | NDArray[np.float64] | None:
    return data.factors(slice(None)) if data.factor_names else None


def _unfit_values(path: str, values: Values, factor: Known) -> Fault | None:
    if factor.kind == "continuous":
        numbers = [value for value in values if not isinstance(value, str)]
        if len(values) != 2 or len(numbers) != 2 or numbers[0] > numbers[1]:
            return Fault(path, shown(list(values)), "the lowest and the highest value, two numbers")
        return None
    for value in values:
        if isinstance(value, str):
            if value not in factor.values:
                names = ", ".join(factor.values) or f"a number from 0 to {factor.size - 1}"
                return Fault(path, shown(value), f"one of {names}", nearest(value, factor.values))
        elif not (float(value).is_integer() and 0 <= value < factor.size):
            return Fault(path, value, f"a number from 0 to {factor.size - 1}")
    return None


def _has(
    column: NDArray[np.int64] | NDArray[np.float64], values: Values, factor: Known
) -> NDArray[np.bool_]:
    """Which rows have one of these values of a factor. An unknown value is none of them."""
    if factor.kind == "continuous":
        low, high = (float(value) for value in values)
        return np.asarray((column >= low) & (column <= high))
    numbers = [
        factor.values.index(value) if isinstance(value, str) else int(value) for value in values
    ]
    return np.isin(column, numbers)


def _part(
    data: Dataset,
    labels: NDArray[np.int64] | NDArray[np.float64] | None,
    choices: Choices,
    part: Part,
) -> NDArray[np.int64]:
    if part == "all":
        return np.arange(len(data))
    kept = np.ones(len(data), dtype=bool)
    if labels is not None:
        factors = factors_of(data)
        column = {name: labels[:, k] for k, name in enumerate(data.factor_names)}
        for name, values in choices.only.items():
            kept &= _has(column[name], values, factors[name])
        for combination in choices.without:
            held_out = np.ones(len(data), dtype=bool)
            for name, values in combination.items():
                held_out &= _has(column[name], values, factors[name])
            kept &= ~held_out
    if choices.images is not None:
        found = np.flatnonzero(kept)
        drawn = generator(choices.images_seed, "fewer images").permutation(len(found))
        kept[found[drawn[choices.images :]]] = False
    return np.flatnonzero(kept if part == "chosen" else ~kept)


def _weights(
    data: Dataset, labels: NDArray[np.int64] | NDArray[np.float64] | None, choices: Choices
) -> NDArray[np.float64] | None:
    """How often each image is drawn, relative to the others. An unknown factor weighs nothing."""
    if not choices.correlated or labels is None:
        return data.weights
    weights = np.ones(len(data)) if data.weights is None else data.weights.copy()
    for pair in choices.correlated:
        a, b = (_from_0_to_1(data, labels, name) for name in pair.factors)
        apart = a - (1 - b if pair.inverse else b)
        weights *= np.where(np.isnan(apart), 0.0, np.exp(-(apart**2) / (2 * pair.sigma**2)))
    return weights


def _from_0_to_1(
    data: Dataset, labels: NDArray[np.int64] | NDArray[np.float64], name: str
) -> NDArray[np.float64]:
    k = data.factor_names.index(name)
    values = labels[:, k].astype(np.float64)
    if data.factor_kinds[k] == "discrete":
        return np.where(values < 0, np.nan, values / max(data.factor_sizes[k] - 1, 1))
    low, high = np.nanmin(values), np.nanmax(values)
    scaled: NDArray[np.float64] = (values - low) / ((high - low) or 1.0)
    return scaled


def _numbered_anew(data: Dataset) -> Dataset:
    """The data set with sizes and numbers of the values that occur in it."""
    assert isinstance(data.labels, np.ndarray)
    labels, sizes, names = data.labels.copy(), [], dict(data.factor_values)
    for k, (name, factor) in enumerate(factors_of(data).items()):
        column = labels[:, k]
        known = ~np.isnan(column) if factor.kind == "continuous" else column >= 0
        occurring, numbers = np.unique(column[known], return_inverse=True)
        sizes.append(len(occurring))
        if factor.kind == "discrete" and len(occurring) < factor.size:
            labels[known, k] = numbers
            former = factor.values or tuple(map(str, range(factor.size)))
            names[name] = tuple(former[int(value)] for value in occurring)
    found = replace(data, labels=labels, factor_sizes=tuple(sizes), factor_values=names)
    return replace(found, labels="grid") if _is_grid(labels, sizes) else found


def _is_grid(labels: NDArray[np.int64] | NDArray[np.float64], sizes: Sequence[int]) -> bool:
    if labels.dtype.kind == "f" or math.prod(sizes) != len(labels):
        return False
    grid = np.stack(np.unravel_index(np.arange(len(labels)), tuple(sizes)), axis=1)
    return np.array_equal(grid, labels)


def _with_factors(data: Dataset, names: Sequence[str]) -> Dataset:
    """The data set with these factors alone."""
    if tuple(names) == data.factor_names:
        return data
    columns = [data.factor_names.index(name) for name in names]
    labels = _labels(data)
    assert labels is not None
    kinds = tuple(data.factor_kinds[k] for k in columns)
    kept = labels[:, columns]
    return replace(
        data,
        factor_names=tuple(names),
        factor_sizes=tuple(data.factor_sizes[k] for k in columns),
        factor_kinds=kinds,
        factor_values={name: v for name, v in data.factor_values.items() if name in names},
        labels=kept if "continuous" in kinds else kept.astype(np.int64),
    )
