"""Experiments whose runs go on from the ends of trained runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from ml.components.dotted_paths import value_at
from ml.components.spec_errors import MOST_FAULTS, Fault, InvalidSpec, shown
from ml.experiments.experiment import Experiment, Label, changed
from ml.spec.parts import Part
from ml.spec.training import MAX_STEPS

STEPS = "training.steps"
_SWEEP = "sweep."
_NOT_TRAINED = {*Label.model_fields, "evaluation", "traversal"}


class Extension(Part):
    """How far runs that have ended are to be trained."""

    steps: Annotated[int, Field(ge=1, le=MAX_STEPS)]
    """Number of steps, including those already made. It must be larger than that number."""


class Fork(Extension):
    """How runs that have ended are to go on with changes."""

    changes: Annotated[dict[str, Any], Field(max_length=16, default_factory=dict)]
    """Dotted path to its new value, as in `{"objective.beta": 8}`. The path `sweep.objective.beta`
    takes a list of values, and there is a run for each. Networks and the optimizer must stay the
    same."""


def extended(document: Mapping[str, Any], before: Experiment, wish: Extension) -> dict[str, Any]:
    """A posted spec with more steps.

    Args:
        document: the spec as posted.
        before: the experiment that it describes.
        wish: how many steps its runs are to have.

    Raises:
        InvalidSpec: the steps are swept, or are no more than those already made.
    """
    _check_steps(before, wish)
    return changed(document, {STEPS: wish.steps})


def forked(document: Mapping[str, Any], before: Experiment, wish: Fork) -> dict[str, Any]:
    """A posted spec with changes, whose runs go on from the ends of those before.

    Args:
        document: the spec as posted.
        before: the experiment that it describes.
        wish: how many steps the runs are to have, and what is changed.

    Raises:
        InvalidSpec: the steps are swept, or are no more than those already made; or a change is at
            a swept path, where the runs differ already, or concerns steps or origin.
    """
    _check_steps(before, wish)
    # All runs have the values of the first, except at swept paths.
    first = before.runs[0]
    resolved = first.spec.document()
    paths = {path: _in(path.removeprefix(_SWEEP), resolved) for path in wish.changes}
    paths = {
        path: there for path, there in paths.items() if there.partition(".")[0] not in _NOT_TRAINED
    }
    if faults := list(_changed_faults(wish.changes, paths, first.swept)):
        raise InvalidSpec(faults[:MOST_FAULTS])
    old = {path: value_at(resolved, path) for path in _topmost([STEPS, *paths.values()])}
    if swept := next((path for path in first.swept if _related(path, "origin")), None):
        raise InvalidSpec([_one_by_one("origin", None, swept)])
    if first.spec.origin is not None:
        old["origin"] = first.spec.origin
    return changed(document, {**wish.changes, STEPS: wish.steps, "origin": old})


def _check_steps(before: Experiment, wish: Extension) -> None:
    swept = next((path for path in before.runs[0].swept if _related(path, STEPS)), None)
    if swept is not None:
        raise InvalidSpec([_one_by_one("steps", wish.steps, swept)])
    has = before.runs[0].spec.training.steps
    if wish.steps <= has:
        raise InvalidSpec([Fault("steps", wish.steps, f"more than the {has} that are made")])


def _changed_faults(
    changes: Mapping[str, Any], paths: Mapping[str, str], swept: Mapping[str, Any]
) -> Iterator[Fault]:
    for path, there in paths.items():
        at = f"changes.{shown(path)}"
        if path == "sweep":
            expected = "one path of it, as in sweep.objective.beta"
            yield Fault(at, shown(changes[path]), expected)
        elif there == STEPS or (path.startswith(_SWEEP) and _related(there, STEPS)):
            yield Fault(at, shown(changes[path]), "steps, beside changes and not in them")
        elif there.partition(".")[0] == "origin":
            yield Fault(at, shown(changes[path]), "no origin, as it goes on from the run's own end")
        elif one := next((one for one in swept if _related(one, there)), None):
            yield _one_by_one(at, changes[path], one)


def _one_by_one(path: str, value: object, swept: str) -> Fault:
    expected = f"what the runs have in common, but {swept} is swept: go on from them one by one"
    return Fault(path, shown(value), expected)


def _related(one: str, other: str) -> bool:
    """Whether the paths are equal, or one leads through the other."""
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")


def _in(path: str, document: Mapping[str, Any]) -> str:
    """The longest beginning of the path that the document has, but at least its first part.

    The path of a component's name is that of the component, since its other params change with it.
    """
    parts = path.removesuffix(".name").split(".")
    here: Any = document
    for depth, part in enumerate(parts):
        if not isinstance(here, Mapping) or part not in here:
            return ".".join(parts[: max(depth, 1)])
        here = here[part]
    return path


def _topmost(paths: Sequence[str]) -> list[str]:
    """The paths that do not lie below another of them."""
    return [
        path
        for path in dict.fromkeys(paths)
        if not any(other != path and path.startswith(f"{other}.") for other in paths)
    ]
