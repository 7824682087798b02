"""The protocol of metrics, and the Score that each of their numbers becomes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from ml.component import Component

FactorKind = Literal["discrete", "continuous"]


class ConstantFactor(ValueError):
    """A factor takes a single value on the rows given, so that nothing can be said about it."""

    def __init__(self, name: str, column: int, value: object) -> None:
        self.factor, self.column = name, column
        super().__init__(
            f"factor {name!r} (column {column}) has the single value {value!r} on these rows;"
            " drop the column or give rows on which it varies"
        )


class UnusableRows(ValueError):
    """Codes or factors cannot be scored: the message says which column or shape, and why."""


class NullDistribution(BaseModel):
    """What the score is on codes that know nothing of the factors."""

    mean: float
    std: float
    replicates: int


class Score(BaseModel):
    """One number of a metric, with what is needed to cite it."""

    model_config = ConfigDict(allow_inf_nan=False)

    metric: str
    """The component that computed it."""
    name: str
    """Which of the component's numbers it is."""
    value: float | None
    """The score; None when there is none."""
    error: str | None = None
    """Why there is no value."""
    higher_is_better: bool
    range: tuple[float | None, float | None]
    """Lowest and highest possible value; None where there is no bound."""
    perfect: float | None
    """Its value on a perfect code, if known."""
    null: NullDistribution | None = None
    ci95: tuple[float, float] | None = None
    codes: Literal["mean", "sample"] = "mean"
    """Whether posterior means or posterior samples were scored."""
    params: dict[str, Any]
    definition: str
    """Name and version of the component, as in `mig@1`."""
    rows: int
    """Rows that were scored."""
    seed: int
    seconds: float | None = None
    versions: dict[str, str]
    details: dict[str, Any] = {}
    """Matrices and per-factor values, as lists."""


@dataclass(frozen=True)
class Number:
    """One of the numbers that a metric declares."""

    name: str
    higher_is_better: bool = True
    range: tuple[float | None, float | None] = (0.0, 1.0)
    perfect: float | None = 1.0


@dataclass(frozen=True)
class Value:
    """What a metric computed for one of its numbers."""

    value: float
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Rows:
    """A sample of codes with all that metrics may want to know of each row.

    Codes are (samples, latents), factors (samples, factors). The first `train` rows are for
    fitting predictors, the others for testing them.
    """

    codes: np.ndarray
    factors: np.ndarray
    factor_names: tuple[str, ...]
    factor_kinds: tuple[FactorKind, ...]
    train: int
    seed: int = 0
    kl: np.ndarray | None = None
    """KL to the prior in nats, (samples, latents)."""
    reconstruction: np.ndarray | None = None
    """-log p(x|z) in nats, (samples,), one posterior sample a row."""

    def __len__(self) -> int:
        return len(self.codes)

    def only(self, rows: slice) -> Rows:
        """The same for some of the rows."""

        def cut(values: np.ndarray | None) -> np.ndarray | None:
            return None if values is None else values[rows]

        length = len(range(*rows.indices(len(self))))
        return Rows(
            self.codes[rows],
            self.factors[rows],
            self.factor_names,
            self.factor_kinds,
            min(self.train, length),
            self.seed,
            cut(self.kl),
            cut(self.reconstruction),
        )


class Metric(Component):
    """A judgement of codes against factors."""

    kind: ClassVar[str] = "metric"
    needs: ClassVar[Literal["rows", "posterior"]] = "rows"
    """"rows": codes and factors; "posterior": what only a model's own posterior tells."""
    uses: ClassVar[Literal["all", "split", "test"]] = "all"
    """Which rows it takes: all as one sample; a training and a testing part; the latter alone."""
    needs_factors: ClassVar[bool] = True
    numbers: ClassVar[Sequence[Number]]

    @abstractmethod
    def compute(self, rows: Rows) -> dict[str, Value]:
        """The value of each of `numbers`, by name.

        Raises `ConstantFactor`, `UnusableRows`, or another ValueError that says what is wrong.
        """
