"""The parts of a spec: how a run is trained and scored, and its traversal picture."""

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
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
)

from ml.components.described import Described
from ml.components.registry import components
from ml.datasets.choices import Part as Images
from ml.datasets.protocol import DatasetComponent
from ml.metrics.protocol import Metric
from ml.models.protocol import Architecture
from ml.objectives.likelihood import Likelihood
from ml.objectives.protocol import Objective
from ml.optimizers.protocol import Optimizer
from ml.reproducibility.draws import MAX_SEED
from ml.schedules.protocol import Schedule
from ml.spec.choices import Precision, Sampling
from ml.spec.uploaded import meant

MAX_STEPS = 10_000_000
MAX_BATCH = 8192
MAX_ROWS = 1_000_000
SAMPLE_ROWS = 10_000
MAX_SNAPSHOTS = 100
MAX_COEFFICIENTS = 64


def _named(value: object, *, default: str | None) -> object:
    """The component's name and params, given its bare name, or params of the default component."""
    if default is not None and isinstance(value, Mapping) and "name" not in value:
        return {"name": default, **value}
    return {"name": value} if isinstance(value, str) else value


def _one_of(kind: str, *, default: str | None = None, meant: Any = None) -> Any:
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
    AnyDataset = DatasetComponent
    AnyModel = Architecture
    AnyObjective = Objective
    AnyOptimizer = Optimizer
    AnySchedule = Schedule
    AnyMetric = Metric
else:
    AnyDataset = _one_of("dataset", meant=meant)
    AnyModel = _one_of("model", default="locatello")
    AnyObjective = _one_of("objective")
    AnyOptimizer = _one_of("optimizer", default="adam")
    AnySchedule = _one_of("schedule", default="constant")
    AnyMetric = _one_of("metric")


def with_defaults(kind: str, name: str) -> Any:
    """The component of this kind and name with the default of each of its params."""
    return components(kind)[name].model_validate({"name": name})


class Part(Described):
    """A part of a spec. It refuses unknown fields, NaN and infinities."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Training(Part):
    """How the weights are trained. The defaults are those of Locatello et al. 2019."""

    steps: Annotated[int, Field(ge=1, le=MAX_STEPS)] = 300_000
    """Optimizer steps."""
    batch_size: Annotated[int, Field(ge=2, le=MAX_BATCH)] = 64
    """Images in a batch."""
    optimizer: AnyOptimizer = Field(default_factory=lambda: with_defaults("optimizer", "adam"))
    schedule: AnySchedule = Field(default_factory=lambda: with_defaults("schedule", "constant"))
    gradient_clip: Annotated[float, Field(gt=0, le=1e9)] | None = None
    """Largest norm of the gradient of all parameters of a group; null for no limit."""
    coefficients: Annotated[dict[str, AnySchedule], Field(max_length=MAX_COEFFICIENTS)] = {}
    """Schedules that multiply the objective's coefficients at each step. With
    `{beta: {name: warm_up, over: 10000}}`, beta grows from zero."""
    sampling: Sampling = "with_replacement"
    """How images are drawn for a batch: independently, as in the protocol, or in epochs. Each epoch
    has every image once."""
    precision: Precision = "float32"
    """The numbers that networks compute in. With bfloat16, weights and losses stay in float32."""
    likelihood: Likelihood = "bernoulli"
    """p(x|z) of each pixel: bernoulli, whose -log p(x|z) is the cross-entropy, or a Gaussian around
    the decoder's mean."""
    pixel_deviation: Annotated[float, Field(ge=1e-3, le=100)] | None = None
    """Standard deviation of a pixel under the Gaussian likelihood, in units of a white pixel; null
    means 1. The smaller it is, the more the reconstruction weighs against all other terms."""
    checkpoint_minutes: Annotated[float, Field(gt=0, le=1440)] = 2.0
    """Minutes between checkpoints: about as much work may have to be repeated after a kill."""
    snapshots: Annotated[int, Field(ge=0, le=MAX_SNAPSHOTS)] = 0
    """How many snapshots of the weights are kept during training, for films of it. Their steps are
    evenly spaced on a logarithmic axis. A run that is already trained keeps the snapshots that it
    has."""

    @field_validator("pixel_deviation")
    @classmethod
    def _is_of_use(cls, value: float | None, info: ValidationInfo) -> float | None:
        if value is not None and info.data.get("likelihood") == "bernoulli":
            raise ValueError("null, as the bernoulli likelihood has no deviation")
        return value


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
