"""The spec: what a client asks for, with defaults, bounds, and errors that they can act on."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, TypeVar

from pydantic import (
    BeforeValidator,
    Field,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    ValidationError,
    create_model,
    model_serializer,
)

from ml.components.dotted_paths import with_values
from ml.components.registry import nearest
from ml.components.spec_errors import MOST_FAULTS, Fault, InvalidSpec, describe, shown
from ml.datasets.protocol import UnusableFile
from ml.models.protocol import UnfitImages
from ml.optimizers.protocol import Optimizer
from ml.reproducibility.draws import MAX_SEED
from ml.spec.parts import Evaluation, Part, Traversal, with_defaults
from ml.spec.training import AnyDataset, AnyModel, AnyObjective, Training
from ml.spec.uploaded import Uploaded, meant_in_origin

MAX_ORIGINS = 16

P = TypeVar("P", bound=Part)
Context = dict[str, Any]
"""What validators know of whoever asks: whether they are `remote`, and what was `uploaded`."""


class RunSpec(Part):
    """One run: everything that decides the model's weights, and how they are scored and drawn."""

    dataset: AnyDataset
    model: AnyModel = Field(default_factory=lambda: with_defaults("model", "locatello"))
    objective: AnyObjective
    training: Training = Field(default_factory=Training)
    evaluation: Evaluation = Field(default_factory=Evaluation)
    traversal: Traversal = Field(default_factory=Traversal)
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] = 0
    """Seed of initial weights, batches and noise."""
    origin: Annotated[
        Annotated[dict[str, Any], Field(min_length=1, max_length=64)] | None,
        BeforeValidator(meant_in_origin),
    ] = None
    """The run from whose end training goes on. Its spec is this one, but with these values (dotted
    path to value), as in `{objective.beta: 4, training.steps: 100000}`. Without an origin, training
    begins at random weights."""

    _before: RunSpec | None = PrivateAttr(default=None)
    """The spec of the origin, once it is parsed."""

    @model_serializer(mode="wrap")
    def _without_no_origin(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        document: dict[str, Any] = handler(self)
        return {key: value for key, value in document.items() if (key, value) != ("origin", None)}

    @classmethod
    def parse(
        cls,
        data: Mapping[str, Any] | RunSpec,
        *,
        remote: bool = False,
        uploaded: Uploaded | None = None,
    ) -> RunSpec:
        """A checked spec with its defaults filled in.

        `remote` refuses what only the operator of the machine may name, such as absolute paths.
        With `uploaded`, the spec may name those data sets.

        Raises:
            InvalidSpec: the spec is wrong. The error lists every fault with its path, the value
                that came and the values that are allowed.
        """
        if isinstance(data, RunSpec):
            return data
        return cls._parse(data, _context(remote, uploaded), origins=0)

    @classmethod
    def part(
        cls,
        field: str,
        data: Mapping[str, Any],
        *,
        remote: bool = False,
        uploaded: Uploaded | None = None,
    ) -> Any:
        """The checked value of one field of a spec, or its default where `data` has none.

        Raises:
            InvalidSpec: the field is wrong. The error lists every fault.
        """
        model = _alone(field)
        return getattr(_validated(model, data, _context(remote, uploaded)), field)

    @classmethod
    def of_parts(
        cls, parts: Mapping[str, Any], *, remote: bool = False, uploaded: Uploaded | None = None
    ) -> RunSpec:
        """The spec with these values, which `part` has checked one by one.

        Raises:
            InvalidSpec: the values do not fit together. The error lists every fault.
        """
        return cls.model_construct(**parts)._checked(_context(remote, uploaded), origins=0)

    @classmethod
    def _parse(cls, data: Mapping[str, Any], context: Context, *, origins: int) -> RunSpec:
        return _validated(cls, data, context)._checked(context, origins=origins)

    def _checked(self, context: Context, *, origins: int) -> RunSpec:
        """This spec. Raises `InvalidSpec` if its parts do not fit together."""
        if self.evaluation.images == "left_out" and not self.dataset.leaves_out():
            expected = "chosen or all, as the data set's params leave no image out"
            raise InvalidSpec([Fault("evaluation.images", "left_out", expected)])
        try:
            shape, unfit = self.dataset.image_shape(), self.dataset.unfit_choices()
        except (OSError, UnusableFile):
            # The files are gone, which those who plan a run report. The spec may be that of a run.
            self._check_origin(context, origins=origins)
            return self
        if unfit:
            raise InvalidSpec([replace(one, path=f"dataset.{one.path}") for one in unfit])
        if self.evaluation.rows == "all" and (
            found := self.dataset.no_population(self.evaluation.images)
        ):
            expected = f"a number, as all needs a complete grid of images, but {found}"
            raise InvalidSpec([Fault("evaluation.rows", "all", expected)])
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
        self._check_batches()
        self._check_origin(context, origins=origins)
        return self

    def _check_batches(self) -> None:
        """Refuse batches that the data set cannot give, as far as that is known before opening.

        Which values `without` and `images` leave is known only then, so they are not considered.
        """
        data = self.dataset
        if data.correlated and self.training.sampling == "epochs":
            expected = "with_replacement, as dataset.correlated draws some images more often"
            raise InvalidSpec([Fault("training.sampling", "epochs", expected)])
        known = data.known_factors()
        if known is None or data.without or data.images is not None:
            return
        kinds = {
            name: known[name].kind
            for name in data.keep_factors or known
            if len(data.only.get(name, range(known[name].size))) > 1
        }
        if expected_data := self.objective.needs().unmet(kinds, self.model.latent_dim):
            raise InvalidSpec([Fault("objective", self.objective.name, expected_data)])

    def _check_origin(self, context: Context, *, origins: int) -> None:
        """Make sure that the origin has a valid spec and fewer steps."""
        if self.origin is None:
            return
        if origins == MAX_ORIGINS:
            raise InvalidSpec([Fault("origin", "more", f"at most {MAX_ORIGINS} within each other")])
        try:
            before = self._parse(self._of_origin(), context, origins=origins + 1)
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
        """The spec of the run from whose end training goes on; None without an origin."""
        if self.origin is None:
            return None
        return self._before or RunSpec.parse(self._of_origin())

    def optimizer_of(self, group: str) -> Optimizer:
        """The objective's own optimizer for a group of parameters, or else that of training."""
        return self.objective.optimizers().get(group, self.training.optimizer)

    def document(self) -> dict[str, Any]:
        """The resolved spec as JSON values."""
        return self.model_dump(mode="json")


@functools.cache
def _alone(field: str) -> type[Part]:
    """The model of a spec with only this field."""
    info = RunSpec.model_fields[field]
    fields: dict[str, Any] = {field: (info.annotation, info)}
    return create_model(f"RunSpec_{field}", __base__=Part, **fields)


def _context(remote: bool, uploaded: Uploaded | None) -> Context:
    return {"remote": remote, "uploaded": uploaded}


def _validated(model: type[P], data: Mapping[str, Any], context: Context) -> P:
    try:
        return model.model_validate(data, context=context)
    except ValidationError as error:
        raise InvalidSpec(describe(error, model, data)) from None


def _no_coefficient(name: str, objective: str, known: list[str]) -> Fault:
    if known:
        expected = f"a coefficient of {objective}: {', '.join(known)}"
    else:
        expected = f"nothing, as {objective} has no coefficients"
    return Fault(
        f"training.coefficients.{shown(name)}", shown(name), expected, nearest(name, known)
    )
