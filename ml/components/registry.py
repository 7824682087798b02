"""The registry of components, which finds them in the folders of their kinds.

A component is a class in a module of its kind's folder or of a folder below it. Installed packages
may add modules under the entry-point group `heddle.components`. A module whose name begins with an
underscore holds code that several components share, and is skipped. A kind is a folder of `ml` with
a `protocol` module. Nobody edits a list to add a kind or a component.
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
"""Characters of the longest name that `nearest` compares with the known names."""

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
    """The known name that is closest to `name`, or None if none is close."""
    if len(name) > LONGEST_NAME:
        return None
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return close[0] if close else None


def register(component: C) -> C:
    """Register a component under its kind and name.

    Raises:
        DuplicateComponent: another component of this kind has the name.
    """
    name = component.component_name()
    known = _components.setdefault(component.kind, {})
    if name in known and _place(known[name]) != _place(component):
        # Those of other packages may be imported first, and are still the second to claim the name.
        modules = [known[name].__module__, component.__module__]
        first, second = sorted(modules, key=lambda module: not module.startswith("ml."))
        raise DuplicateComponent(
            f"{component.kind} {name!r} is defined by {first} and again by {second}"
        )
    known[name] = component
    return component


def _place(component: type[Component]) -> tuple[str, str]:
    return component.__module__, component.__qualname__


@cache
def kinds() -> dict[str, str]:
    """Every kind of component by its folder, as `{"metrics": "metric", ...}`.

    A folder of `ml` holds a kind if it has a `protocol` module. The class there that sets `kind`
    is the base of all components of the kind.
    """
    return {folder: kind for folder in _folders() if (kind := _kind_of(folder)) is not None}


@cache
def _folders() -> list[str]:
    """The folders of `ml` with a `protocol` module."""
    return sorted(found.parent.name for found in Path(__file__).parents[1].glob("*/protocol.py"))


@cache
def _kind_of(folder: str) -> str | None:
    """The kind of the components in a folder, from the class of its protocol that sets `kind`."""
    module = importlib.import_module(f"ml.{folder}.protocol")
    found = None
    for value in vars(module).values():
        if isinstance(value, type) and value.__module__ == module.__name__:
            kind = vars(value).get("kind") if issubclass(value, Component) else None
            found = found if kind is None else kind
    return found


def _import_all(package: str) -> None:
    """Import the modules of a package and of its subpackages, except those named `_…`."""
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if module.name.startswith("_"):
            continue
        name = f"{package}.{module.name}"
        if module.ispkg:
            _import_all(name)
        else:
            importlib.import_module(name)


@cache
def _discover(kind: str) -> None:
    # A folder is named after its kind, mostly. If so, no other protocol is imported, and with it
    # torch, in order to find the kind.
    named = [folder for folder in _folders() if folder.startswith(kind)]
    if not any(_kind_of(folder) == kind for folder in named):
        named = _folders()
    for folder in named:
        if _kind_of(folder) == kind:
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
        UnknownComponent: no component has the name; the error gives the known and nearest names.
    """
    known = components(kind)
    if name not in known:
        raise UnknownComponent(kind, name, known)
    return known[name]
