"""Parts of a spec: how codes are scored, the traversal picture, and what all parts have in common.

What only training needs, and with it torch, is in `ml.spec.training`.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from ml.components.described import Described
from ml.components.registry import components
from ml.datasets.choices import Part as Images
from ml.metrics.protocol import Metric
from ml.reproducibility.draws import MAX_SEED

MAX_ROWS = 1_000_000
SAMPLE_ROWS = 10_000


def _named(value: object, *, default: str | None) -> object:
    """The component's name and params, given its bare name, or params of the default component."""
    if default is not None and isinstance(value, Mapping) and "name" not in value:
        return {"name": default, **value}
    return {"name": value} if isinstance(value, str) else value


def one_of(kind: str, *, default: str | None = None, meant: Any = None) -> Any:
    """The union of all components of a kind, with `name` as the discriminator.

    `meant` is a validator that may replace the name and params by others.
    """
    members = tuple(components(kind).values())
    union: Any = functools.reduce(operator.or_, members)
    if len(members) > 1:
        union = Annotated[union, Field(discriminator="name")]
    names: Any = Literal[tuple(components(kind))]
    named = functools.partial(_named, default=default)
    before = [BeforeValidator(named, json_schema_input_type=union | names)]
    if meant is not None:
        # The validator that is listed last is called first.
        before.insert(0, BeforeValidator(meant, json_schema_input_type=union | names))
    return Annotated[union, *before]


if TYPE_CHECKING:
    AnyMetric = Metric
else:
    AnyMetric = one_of("metric")


def with_defaults(kind: str, name: str) -> Any:
    """The component of this kind and name with the default of each of its params."""
    return components(kind)[name].model_validate({"name": name})


class Part(Described):
    """A part of a spec. It refuses unknown fields, NaN and infinities."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _in_one_message(value: object, check: ValidatorFunctionWrapHandler) -> object:
    try:
        return check(value)
    except ValidationError:
        raise ValueError(f"a whole number from 2 to {MAX_ROWS}, or all") from None


class Evaluation(Part):
    """How the model is scored."""

    metrics: Annotated[list[AnyMetric], Field(max_length=64)] = Field(
        default_factory=lambda: [with_defaults("metric", name) for name in ("mig", "sap", "dci")]
    )
    codes: Annotated[list[Literal["mean", "sample"]], Field(min_length=1, max_length=2)] = ["mean"]
    """Which codes are scored: posterior means, posterior samples, or both."""
    rows: Annotated[
        Annotated[int, Field(ge=2, le=MAX_ROWS)] | Literal["all"], WrapValidator(_in_one_message)
    ] = SAMPLE_ROWS
    """Number of rows on which predictors are fitted, and which metrics without a split score.
    With `all`, the metrics that can score a population score every image, without sampling error,
    and all others score 10,000 rows. The images must be a complete grid: every combination of the
    factors' values, once each. Posterior samples are always scored on the 10,000 rows."""
    test_rows: Annotated[int, Field(ge=1, le=MAX_ROWS)] = 5_000
    """Number of further rows on which predictors are tested."""
    images: Images = "chosen"
    """Which images are drawn: those that the data set's params choose for training, those that they
    leave out (held-out combinations, for instance), or all."""
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] = 0
    """Seed of the draw of rows. The rows are the same for every model of a study."""
    uncertainty: bool = True
    """Whether to compute each score's null and interval, too. Without them an evaluation takes a
    seventh of the time or less."""

    @property
    def sample_rows(self) -> int:
        """Rows of the sample for all that does not score every image."""
        return SAMPLE_ROWS if self.rows == "all" else self.rows

    def scores_population(self) -> bool:
        """Whether a metric scores every image, so that all of them must be encoded."""
        return self.rows == "all" and any(
            metric.scores_populations(codes) for metric in self.metrics for codes in self.codes
        )


class Traversal(Part):
    """The traversal picture."""

    span: Literal["quantiles", "deviations", "range"] = "quantiles"
    """The range of its own codes that each latent moves through: their quantiles (1 % to 99 %), two
    of their deviations to either side of their mean, or from the smallest to the largest."""
    frames: Annotated[int, Field(ge=2, le=51)] = 11
    """Columns of the picture."""
