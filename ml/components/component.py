"""The base of every component: named, versioned parameters that the client chose."""

from __future__ import annotations

import functools
import inspect
import math
import types
from collections.abc import Collection, Mapping
from typing import Annotated, Any, ClassVar, Self, Union, cast, get_args, get_origin

from pydantic import ConfigDict

from ml.components.described import Described


class Component(Described):
    """Parameters of one registered component, together with what it does.

    A subclass states its `name` as `name: Literal["beta_vae"] = "beta_vae"` and its parameters
    as fields with bounds. The first line of its docstring is its summary in the catalogue.
    `version` changes whenever the component's numbers do, and is part of the identity of every run
    that used it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: ClassVar[str]
    version: ClassVar[int] = 1
    structural: ClassVar[frozenset[str]] = frozenset()
    """Real-valued parameters that shape what is computed, as a slope does, and weigh nothing."""
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
        """Parameters and version: two components of one identity compute the same numbers."""
        return {**self.model_dump(mode="json"), "version": self.version}

    @classmethod
    def real_params(cls) -> frozenset[str]:
        """Names of the parameters that are one or several floats or null, without `structural`."""
        return _real_params(cls)

    def structure(self) -> dict[str, Any]:
        """The identity without its real numbers: equal where one program computes both components.

        Runs of one structure may be trained in one cohort, each with numbers of its own. The
        structure still says whether a number is given, and how many numbers there are.
        """
        real = self.real_params()
        return {
            name: _form(value) if name in real else value for name, value in self.identity().items()
        }

    def without_numbers(self) -> Self:
        """A copy of the component with NaN for every real number.

        A cohort computes with this copy and gives each run its own numbers. Code that reads a
        number from the component by mistake finds NaN, and not the number of another run.
        """
        real = self.real_params()
        fields = {
            name: _blanked(getattr(self, name)) if name in real else getattr(self, name)
            for name in type(self).model_fields
        }
        return cast(Self, type(self).model_construct(**fields))


@functools.cache
def _real_params(component: type[Component]) -> frozenset[str]:
    fields = component.model_fields.items()
    found = {name for name, field in fields if _is_real(field.annotation)}
    return frozenset(found - component.structural)


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
    """Raise ValueError if a param is set that has no effect with the present value of `choice`.

    `choice` is the name of the param that decides. `users` maps each other param to the values of
    `choice` with which it has an effect.
    """
    chosen = getattr(component, choice)
    for param, using in users.items():
        given = getattr(component, param)
        if chosen not in using and given != type(component).model_fields[param].default:
            raise ValueError(
                f"{choice} {chosen} does not use {param}; leave it out, or choose {choice} "
                + " or ".join(using)
            )
