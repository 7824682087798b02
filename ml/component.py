"""What every component is: named, versioned parameters that the client chose."""

from __future__ import annotations

import inspect
import math
import types
from typing import Annotated, Any, ClassVar, Self, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict


class Component(BaseModel):
    """Parameters of one registered component, together with what it does.

    A subclass states its `name` as `name: Literal["beta_vae"] = "beta_vae"` and its parameters
    as fields with bounds; its docstring's first line is its summary in the catalogue. `version`
    changes whenever its numbers do, and is part of the identity of every run that used it.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )

    kind: ClassVar[str]
    version: ClassVar[int] = 1
    name: str

    @classmethod
    def component_name(cls) -> str:
        """The single name under which this component is registered."""
        names = get_args(cls.model_fields["name"].annotation)
        if len(names) != 1 or not isinstance(names[0], str):
            raise TypeError(f"{cls.__qualname__}.name must be Literal of one name, not {names!r}")
        return names[0]

    @classmethod
    def summary(cls) -> str:
        """The first line of the docstring."""
        return (inspect.getdoc(cls) or "").partition("\n")[0]

    @classmethod
    def description(cls) -> str:
        """The whole docstring."""
        return inspect.getdoc(cls) or ""

    def identity(self) -> dict[str, Any]:
        """What tells this component's numbers from another's: parameters and version."""
        return {**self.model_dump(mode="json"), "version": self.version}

    @classmethod
    def real_params(cls) -> frozenset[str]:
        """The parameters that are real numbers (`float`, or pairs of them, or null)."""
        return frozenset(
            name for name, field in cls.model_fields.items() if _is_real(field.annotation)
        )

    def structure(self) -> dict[str, Any]:
        """The identity without its real numbers: equal where the same program computes both.

        Runs of one structure may be trained in one cohort, each with numbers of its own.
        """
        return {
            name: value for name, value in self.identity().items() if name not in self.real_params()
        }

    def without_numbers(self) -> Self:
        """The component with NaN for every real number.

        A cohort computes with it, so that whoever reads a number of one run from the component, and
        not from what each run is given, finds NaN and not another run's number.
        """
        blank = {name: _blanked(getattr(self, name)) for name in self.real_params()}
        return self.model_copy(update=blank)


def _is_real(annotation: Any) -> bool:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _is_real(arguments[0])
    if origin in (tuple, Union, types.UnionType):
        members = [one for one in arguments if one not in (type(None), Ellipsis)]
        return bool(members) and all(_is_real(member) for member in members)
    return annotation is float


def _blanked(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_blanked(one) for one in value)
    return None if value is None else math.nan
