"""A plugin for pytest: the shapes that signatures of `ml` name are checked at every call.

Modules that name no shapes are left alone, numba's kernels among them. Processes that tests start,
as workers are, check nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, get_args

from beartype import beartype
from jaxtyping import AbstractArray, install_import_hook

_ROOT = Path(__file__).parent.parent

_Function = TypeVar("_Function", bound=Callable[..., Any])


def modules_with_shapes() -> list[str]:
    """The modules of `ml` that import jaxtyping."""
    return [
        ".".join(path.relative_to(_ROOT).with_suffix("").parts)
        for path in sorted((_ROOT / "ml").rglob("*.py"))
        if "\nfrom jaxtyping import " in path.read_text()
    ]


def shapes_checked(function: _Function) -> _Function:
    """A function that checks the arguments whose annotations name shapes, and no others.

    The others are for mypy, and tests give fakes in their place.
    """
    hints = function.__annotations__
    if not any(map(_names_shape, hints.values())):
        return function
    function.__annotations__ = {
        name: hint if _names_shape(hint) else Any for name, hint in hints.items()
    }
    return beartype(function)


def _names_shape(hint: object) -> bool:
    if isinstance(hint, type) and issubclass(hint, AbstractArray):
        return True
    return any(map(_names_shape, get_args(hint)))


_checked = modules_with_shapes()
if too_early := sorted(sys.modules.keys() & set(_checked)):
    raise RuntimeError(f"imported before their shapes could be checked: {', '.join(too_early)}")
install_import_hook(_checked, f"{__name__}.{shapes_checked.__name__}")
