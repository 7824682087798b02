"""Components, found by being there.

A component is a class in a module of one of `FOLDERS` (modules whose name begins with an underscore
hold what several share and are skipped), or in an installed package that names its module
under the entry-point group `heddle.components`. Adding one edits no list.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterable
from functools import cache
from importlib.metadata import entry_points
from typing import TypeVar

from ml.component import Component

FOLDERS = ("datasets", "models", "objectives", "optimizers", "schedules", "metrics", "plots")
ENTRY_POINTS = "heddle.components"
LONGEST_NAME = 200
"""No longer name is near to one that is known."""

_components: dict[str, dict[str, type[Component]]] = {}
C = TypeVar("C", bound=type[Component])


class DuplicateComponent(Exception):
    """Two components of one kind claim the same name."""


class UnknownComponent(LookupError):
    """No component of this kind has this name."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, name, sorted(known)
        self.nearest = nearest(name, self.known)
        hint = f"; did you mean {self.nearest!r}?" if self.nearest else "."
        super().__init__(f"no {kind} is called {name!r}{hint} Known: {', '.join(self.known)}")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` was probably meant to be, if any is close."""
    if len(name) > LONGEST_NAME:
        return None
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return close[0] if close else None


def register(component: C) -> C:
    """Make a component known under its kind and name; a second claim to a name is refused."""
    name = component.component_name()
    known = _components.setdefault(component.kind, {})
    if name in known and _place(known[name]) != _place(component):
        raise DuplicateComponent(
            f"{component.kind} {name!r} is defined by {known[name].__module__}"
            f" and again by {component.__module__}"
        )
    known[name] = component
    return component


def _place(component: type[Component]) -> tuple[str, str]:
    return component.__module__, component.__qualname__


@cache
def _discover() -> None:
    for folder in FOLDERS:
        package = importlib.import_module(f"ml.{folder}")
        for module in pkgutil.iter_modules(package.__path__):
            if not module.name.startswith("_"):
                importlib.import_module(f"{package.__name__}.{module.name}")
    for entry_point in entry_points(group=ENTRY_POINTS):
        entry_point.load()


def components(kind: str) -> dict[str, type[Component]]:
    """Every component of a kind, by name, in alphabetical order."""
    _discover()
    return dict(sorted(_components.get(kind, {}).items()))


def find(kind: str, name: str) -> type[Component]:
    """The component of this kind and name.

    Raises:
        UnknownComponent: with the known names and the nearest of them.
    """
    known = components(kind)
    if name not in known:
        raise UnknownComponent(kind, name, known)
    return known[name]
