"""What every component is: named, versioned parameters that the client chose."""

from __future__ import annotations

import inspect
import math
import types
from collections.abc import Collection, Mapping
from typing import Annotated, Any, ClassVar, Self, Union, cast, get_args, get_origin

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
    structural: ClassVar[frozenset[str]] = frozenset()
    """Real-valued parameters that shape what is computed and do not weigh it, as a slope does."""
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
        """The parameters that are real numbers (`float`, or several, or null), but `structural`."""
        found = {name for name, field in cls.model_fields.items() if _is_real(field.annotation)}
        return frozenset(found - cls.structural)

    def structure(self) -> dict[str, Any]:
        """The identity without its real numbers: equal where the same program computes both.

        Runs of one structure may be trained in one cohort, each with numbers of its own. Whether a
        number is there at all, and how many there are, is structure.
        """
        real = self.real_params()
        return {
            name: _form(value) if name in real else value for name, value in self.identity().items()
        }

    def without_numbers(self) -> Self:
        """The component made anew with NaN for every real number.

        A cohort computes with it, so that whoever reads a number of one run from the component, and
        not from what each run is given, finds NaN and not another run's number.
        """
        real = self.real_params()
        fields = {
            name: _blanked(getattr(self, name)) if name in real else getattr(self, name)
            for name in type(self).model_fields
        }
        return cast(Self, type(self).model_construct(**fields))


def _is_real(annotation: Any) -> bool:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _is_real(arguments[0])
    if origin in (tuple, list, Union, types.UnionType):
        members = [one for one in arguments if one not in (type(None), Ellipsis)]
        return bool(members) and all(_is_real(member) for member in members)
    return annotation is float


def _form(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_form(one) for one in value]
    return None if value is None else "number"


def _blanked(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(_blanked(one) for one in value)
    return None if value is None else math.nan


def refuse_unused(component: Component, choice: str, users: Mapping[str, Collection[str]]) -> None:
    """Raise ValueError where a param is set that has no effect with the value of `choice`.

    `choice` is the name of the param that decides; `users` says with which of its values
    each other param has an effect.
    """
    chosen = getattr(component, choice)
    for param, using in users.items():
        given = getattr(component, param)
        if chosen not in using and given != type(component).model_fields[param].default:
            raise ValueError(
                f"{choice} {chosen} does not use {param}; leave it out, or choose {choice} "
                + " or ".join(using)
            )
