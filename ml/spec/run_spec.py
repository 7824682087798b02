"""The spec: what a client asks for, with its defaults, its bounds, and errors it can act on."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidationInfo,
    create_model,
    field_validator,
    model_serializer,
)

from ml.components.dotted_paths import with_values
from ml.components.registry import components, nearest
from ml.components.spec_errors import MOST_FAULTS, Fault, InvalidSpec, describe, shown
from ml.datasets.protocol import DatasetComponent
from ml.metrics.protocol import Metric
from ml.models.protocol import Architecture, UnfitImages
from ml.objectives.likelihood import Likelihood
from ml.objectives.protocol import Objective
from ml.optimizers.protocol import Optimizer
from ml.reproducibility.draws import MAX_SEED
from ml.schedules.protocol import Schedule
from ml.spec.choices import Precision, Sampling

MAX_STEPS = 10_000_000
MAX_BATCH = 8192
MAX_ROWS = 1_000_000
MAX_ORIGINS = 16
MAX_SNAPSHOTS = 100
MAX_COEFFICIENTS = 64


def _named(value: object, *, default: str | None) -> object:
    """A component may be given by its bare name, or, where one is the default, by params alone."""
    if default is not None and isinstance(value, Mapping) and "name" not in value:
        return {"name": default, **value}
    return {"name": value} if isinstance(value, str) else value


def _one_of(kind: str, *, default: str | None = None) -> Any:
    """The union of all components of a kind, told apart by `name`."""
    members = tuple(components(kind).values())
    union: Any = functools.reduce(operator.or_, members)
    if len(members) > 1:
        union = Annotated[union, Field(discriminator="name")]
    names: Any = Literal[tuple(components(kind))]
    named = functools.partial(_named, default=default)
    return Annotated[union, BeforeValidator(named, json_schema_input_type=union | names)]


if TYPE_CHECKING:
    AnyDataset = DatasetComponent
    AnyModel = Architecture
    AnyObjective = Objective
    AnyOptimizer = Optimizer
    AnySchedule = Schedule
    AnyMetric = Metric
else:
    AnyDataset = _one_of("dataset")
    AnyModel = _one_of("model", default="locatello")
    AnyObjective = _one_of("objective")
    AnyOptimizer = _one_of("optimizer", default="adam")
    AnySchedule = _one_of("schedule", default="constant")
    AnyMetric = _one_of("metric")


class Part(BaseModel):
    """A part of a spec: unknown fields, NaN and infinities are refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )


P = TypeVar("P", bound=Part)


class Training(Part):
    """How the weights are found. Defaults are those of Locatello et al. 2019."""

    steps: Annotated[int, Field(ge=1, le=MAX_STEPS)] = 300_000
    """Optimizer steps."""
    batch_size: Annotated[int, Field(ge=2, le=MAX_BATCH)] = 64
    """Images a step."""
    optimizer: AnyOptimizer = Field(default_factory=lambda: _default("optimizer", "adam"))
    schedule: AnySchedule = Field(default_factory=lambda: _default("schedule", "constant"))
    gradient_clip: Annotated[float, Field(gt=0, le=1e9)] | None = None
    """Largest norm of a group's whole gradient; null for none."""
    coefficients: Annotated[dict[str, AnySchedule], Field(max_length=MAX_COEFFICIENTS)] = {}
    """By what the objective's coefficients are multiplied at each step:
    `{beta: {name: warm_up, over: 10000}}` lets beta grow from zero."""
    sampling: Sampling = "with_replacement"
    """How images are drawn for a batch: independently, as in the protocol, or in epochs, each of
    which has every image once."""
    precision: Precision = "float32"
    """bfloat16 runs the networks in bfloat16 and keeps weights and losses in float32."""
    likelihood: Likelihood = "bernoulli"
    """p(x|z) of each pixel: its cross-entropy, or a Gaussian around the decoder's mean."""
    pixel_deviation: Annotated[float, Field(ge=1e-3, le=100)] | None = None
    """Standard deviation of a pixel under the Gaussian likelihood, in units of a white pixel; null
    is 1. The smaller it is, the more the reconstruction weighs against all other terms."""
    checkpoint_minutes: Annotated[float, Field(gt=0, le=1440)] = 2.0
    """At most this much work is repeated after a kill."""
    snapshots: Annotated[int, Field(ge=0, le=MAX_SNAPSHOTS)] = 0
    """How often the weights are kept along the way, at steps evenly spaced on a logarithmic axis,
    for films of the training. A run that has been trained already has those it was trained with."""

    @field_validator("pixel_deviation")
    @classmethod
    def _is_of_use(cls, value: float | None, info: ValidationInfo) -> float | None:
        if value is not None and info.data.get("likelihood") == "bernoulli":
            raise ValueError("null, as the bernoulli likelihood has no deviation")
        return value


class Evaluation(Part):
    """What the model is scored by."""

    metrics: Annotated[list[AnyMetric], Field(max_length=64)] = Field(
        default_factory=lambda: [_default("metric", name) for name in ("mig", "sap", "dci")]
    )
    codes: Annotated[list[Literal["mean", "sample"]], Field(min_length=1, max_length=2)] = ["mean"]
    """Which codes are scored: posterior means, posterior samples, or both."""
    rows: Annotated[int, Field(ge=2, le=MAX_ROWS)] = 10_000
    """Rows scored by metrics that take one sample, and on which predictors are fitted."""
    test_rows: Annotated[int, Field(ge=1, le=MAX_ROWS)] = 5_000
    """Further rows on which predictors are tested."""
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] = 0
    """Draws the rows; the same rows for every model of a study."""
    uncertainty: bool = True
    """Compute each score's null and interval, too; false takes a seventh of the time or less."""


class Traversal(Part):
    """The traversal picture."""

    span: Literal["quantiles", "deviations", "range"] = "quantiles"
    """Through what of its own codes each latent goes: their quantiles (1 % to 99 %), two of their
    deviations to either side of their mean, or from their least to their greatest."""
    frames: Annotated[int, Field(ge=2, le=51)] = 11
    """Columns of the picture."""


class RunSpec(Part):
    """One model: everything that decides its weights, and what is done with them."""

    dataset: AnyDataset
    model: AnyModel = Field(default_factory=lambda: _default("model", "locatello"))
    objective: AnyObjective
    training: Training = Field(default_factory=Training)
    evaluation: Evaluation = Field(default_factory=Evaluation)
    traversal: Traversal = Field(default_factory=Traversal)
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] = 0
    """Decides initial weights, batches and noise."""
    origin: Annotated[dict[str, Any], Field(min_length=1, max_length=64)] | None = None
    """Training goes on from the end of another run: the one that is like this one but for these
    values, dotted path to value, as in `{objective.beta: 4, training.steps: 100000}`. Absent where
    it begins at random weights."""

    _before: RunSpec | None = PrivateAttr(default=None)
    """Of the origin, once it is parsed."""

    @model_serializer(mode="wrap")
    def _without_no_origin(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        document: dict[str, Any] = handler(self)
        return {key: value for key, value in document.items() if (key, value) != ("origin", None)}

    @classmethod
    def parse(cls, data: Mapping[str, Any] | RunSpec, *, remote: bool = False) -> RunSpec:
        """A checked spec with its defaults filled in.

        `remote` refuses what only the operator of the machine may name, such as absolute paths.

        Raises:
            InvalidSpec: with every fault, its path, what came and what is allowed.
        """
        if isinstance(data, RunSpec):
            return data
        return cls._parse(data, remote=remote, origins=0)

    @classmethod
    def part(cls, field: str, data: Mapping[str, Any], *, remote: bool = False) -> Any:
        """The checked value of one field of a spec, or its default where `data` has none.

        Raises:
            InvalidSpec: with every fault of it.
        """
        model = _alone(field)
        return getattr(_validated(model, data, remote=remote), field)

    @classmethod
    def of_parts(cls, parts: Mapping[str, Any], *, remote: bool = False) -> RunSpec:
        """The spec that has these values, each checked by `part`; they are checked together here.

        Raises:
            InvalidSpec: with every fault.
        """
        return cls.model_construct(**parts)._checked(remote=remote, origins=0)

    @classmethod
    def _parse(cls, data: Mapping[str, Any], *, remote: bool, origins: int) -> RunSpec:
        return _validated(cls, data, remote=remote)._checked(remote=remote, origins=origins)

    def _checked(self, *, remote: bool, origins: int) -> RunSpec:
        """This spec, whose parts go together."""
        shape = self.dataset.image_shape()
        try:
            self.model.check(shape)
        except UnfitImages as error:
            raise InvalidSpec(
                [Fault("model", error.got, f"images of {error.wanted} for {self.model.name}")]
            ) from None
        known = sorted(
            self.objective.coefficients(pixels=math.prod(shape), latents=self.model.latent_dim)
        )
        if faults := [
            _no_coefficient(name, self.objective.name, known)
            for name in self.training.coefficients
            if name not in known
        ]:
            raise InvalidSpec(faults[:MOST_FAULTS])
        self._check_origin(remote=remote, origins=origins)
        return self

    def _check_origin(self, *, remote: bool, origins: int) -> None:
        """Make sure that the run it goes on from could be one, and has fewer steps."""
        if self.origin is None:
            return
        if origins == MAX_ORIGINS:
            raise InvalidSpec([Fault("origin", "more", f"at most {MAX_ORIGINS} within each other")])
        try:
            before = self._parse(self._of_origin(), remote=remote, origins=origins + 1)
        except InvalidSpec as error:
            faults = [
                Fault(f"origin.{fault.path}", fault.got, fault.expected, fault.nearest)
                for fault in error.faults
            ]
            raise InvalidSpec(faults) from None
        self._before = before
        steps = before.training.steps
        if steps >= self.training.steps:
            expected = f"more than {steps}, where the run that it goes on from ends"
            raise InvalidSpec([Fault("training.steps", self.training.steps, expected)])

    def _of_origin(self) -> dict[str, Any]:
        assert self.origin is not None
        document = {key: value for key, value in self.document().items() if key != "origin"}
        return with_values(document, self.origin)

    def origin_spec(self) -> RunSpec | None:
        """The spec of the run from whose end training goes on; None where it begins anew."""
        if self.origin is None:
            return None
        return self._before or RunSpec.parse(self._of_origin())

    def document(self) -> dict[str, Any]:
        """The resolved spec as JSON values."""
        return self.model_dump(mode="json")


@functools.cache
def _alone(field: str) -> type[Part]:
    """A spec of this one field."""
    info = RunSpec.model_fields[field]
    fields: dict[str, Any] = {field: (info.annotation, info)}
    return create_model(f"RunSpec_{field}", __base__=Part, **fields)


def _validated(model: type[P], data: Mapping[str, Any], *, remote: bool) -> P:
    try:
        return model.model_validate(data, context={"remote": remote})
    except ValidationError as error:
        raise InvalidSpec(describe(error, model, data)) from None


def _default(kind: str, name: str) -> Any:
    return components(kind)[name].model_validate({"name": name})


def _no_coefficient(name: str, objective: str, known: list[str]) -> Fault:
    if known:
        expected = f"a coefficient of {objective}: {', '.join(known)}"
    else:
        expected = f"nothing, as {objective} has no coefficients"
    return Fault(
        f"training.coefficients.{shown(name)}", shown(name), expected, nearest(name, known)
    )
