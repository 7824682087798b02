"""How a run is trained: its data, model and objective, and the numbers of its training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from ml.datasets.protocol import DatasetComponent
from ml.models.protocol import Architecture
from ml.objectives.likelihood import Likelihood
from ml.objectives.protocol import Objective
from ml.optimizers.protocol import Optimizer
from ml.schedules.protocol import Schedule
from ml.spec.choices import AUTO, Precision, Sampling
from ml.spec.parts import Part, one_of, with_defaults
from ml.spec.uploaded import meant

MAX_STEPS = 10_000_000
MAX_BATCH = 8192
MAX_SNAPSHOTS = 100
MAX_COEFFICIENTS = 64

if TYPE_CHECKING:
    AnyDataset = DatasetComponent
    AnyModel = Architecture
    AnyObjective = Objective
    AnyOptimizer = Optimizer
    AnySchedule = Schedule
else:
    AnyDataset = one_of("dataset", meant=meant)
    AnyModel = one_of("model", default="locatello")
    AnyObjective = one_of("objective")
    AnyOptimizer = one_of("optimizer", default="adam")
    AnySchedule = one_of("schedule", default="constant")


def _decided(value: object) -> object:
    if value == AUTO:
        raise ValueError("float32 or bfloat16, as nothing was measured that auto could go by")
    return value


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
    precision: Annotated[
        Precision, BeforeValidator(_decided, json_schema_input_type=Precision | Literal["auto"])
    ] = "float32"
    """The numbers that networks compute in. With bfloat16, weights and losses stay in float32. With
    `auto` it is bfloat16 if the device that trains was measured to be at least 1.2 times as fast in
    it, and otherwise float32. Whichever it is stands in the run's spec from then on."""
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
