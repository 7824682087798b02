"""What every component is: named, versioned parameters that the client chose."""

from __future__ import annotations

import inspect
from typing import Any, ClassVar, get_args

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
