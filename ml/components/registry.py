"""Components, found by being there.

A component is a class in a module of its kind's folder, or of a folder in that, or in an installed
package that names its module under the entry-point group `heddle.components`. Modules whose name
begins with an underscore hold what several share and are skipped. A kind is a folder with a
`protocol` module. Adding either edits no list.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterable
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import TypeVar

from ml.components.component import Component

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
def kinds() -> dict[str, str]:
    """Every kind of component by its folder, as `{"metrics": "metric", ...}`.

    A folder of `ml` holds a kind when it has a `protocol` module: the class in it that names the
    kind is what all its components are made of.
    """
    found = {}
    for protocol in sorted(Path(__file__).parents[1].glob("*/protocol.py")):
        module = importlib.import_module(f"ml.{protocol.parent.name}.protocol")
        for value in vars(module).values():
            if isinstance(value, type) and value.__module__ == module.__name__:
                kind = vars(value).get("kind") if issubclass(value, Component) else None
                if kind is not None:
                    found[protocol.parent.name] = kind
    return found


def _import_all(package: str) -> None:
    """Import the modules of a package and of those in it, but for names that begin with "_"."""
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        name = f"{package}.{module.name}"
        if module.ispkg:
            _import_all(name)
        elif not module.name.startswith("_"):
            importlib.import_module(name)


@cache
def _discover(kind: str) -> None:
    for folder, its_kind in kinds().items():
        if its_kind == kind:
            _import_all(f"ml.{folder}")


@cache
def _load_entry_points() -> None:
    for entry_point in entry_points(group=ENTRY_POINTS):
        entry_point.load()


def components(kind: str) -> dict[str, type[Component]]:
    """Every component of a kind, by name, in alphabetical order."""
    _discover(kind)
    _load_entry_points()
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
