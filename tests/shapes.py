"""A plugin for pytest: the shapes that signatures of `ml` name are checked at every call.

Modules and functions that name no shapes are left alone, numba's kernels among them. Processes that
tests start, as workers are, check nothing.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, get_args

import jaxtyping
from beartype import beartype
from jaxtyping import AbstractArray, AbstractDtype, install_import_hook

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
    if isinstance(hint, type) and issubclass(hint, AbstractArray | AbstractDtype):
        return True
    return any(map(_names_shape, get_args(hint)))


_jaxtyped = jaxtyping.jaxtyped


def _jaxtyped_where_shapes_are_named(*, typechecker: object) -> Callable[[_Function], _Function]:
    """jaxtyping's decorator for a function or a dataclass that names a shape, else none.

    The import hook decorates all functions, and a function inside another anew at each call of the
    other, which costs 0.1 ms.
    """

    def decorated(defined: _Function) -> _Function:
        checked = defined.__init__ if isinstance(defined, type) else defined
        hints = getattr(checked, "__annotations__", {})
        known = getattr(checked, "__globals__", {})
        if not any(_may_name_shape(hint, known) for hint in hints.values()):
            return defined
        found: _Function = _jaxtyped(typechecker=typechecker)(defined)
        return found

    return decorated


def _may_name_shape(hint: object, known: dict[str, Any]) -> bool:
    """Whether a hint, or one of the names in its text, stands for an array of some shape."""
    if not isinstance(hint, str):
        return _names_shape(hint)
    return any(_names_shape(known.get(name)) for name in _names(hint))


@functools.cache
def _names(text: str) -> list[str]:
    return re.findall(r"\w+", text)


# The code that the import hook makes looks the decorator up here.
jaxtyping.jaxtyped = _jaxtyped_where_shapes_are_named
_checked = modules_with_shapes()
if too_early := sorted(sys.modules.keys() & set(_checked)):
    raise RuntimeError(f"imported before their shapes could be checked: {', '.join(too_early)}")
install_import_hook(_checked, f"{__name__}.{shapes_checked.__name__}")
