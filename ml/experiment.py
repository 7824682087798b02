"""Experiments: a spec with a sweep, expanded into the specs of its runs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, create_model

from ml.dataset import MissingFile, UnusableFile
from ml.dotted_paths import with_values
from ml.origin import check_state
from ml.registry import nearest
from ml.spec import RunSpec
from ml.spec_errors import MOST_FAULTS, Fault, InvalidSpec, parsed, shown

MAX_RUNS = 10_000
Tag = Annotated[str, Field(min_length=1, max_length=64)]


class Label(BaseModel):
    """What people call an experiment. No part of any identity: renaming retrains nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """By default "objective on dataset"."""
    tags: Annotated[list[Tag], Field(max_length=32)] = []
    """Words to find it by."""
    notes: Annotated[str, Field(max_length=10_000)] = ""
    """Free text."""

    @classmethod
    def parse(cls, data: object) -> Self:
        """Check what came from a client.

        Raises:
            InvalidSpec: with every fault.
        """
        return parsed(cls, data)


class Header(Label):
    """What an experiment has beside the spec of a run."""

    sweep: Annotated[
        dict[str, Annotated[list[Any], Field(min_length=1)]], Field(max_length=16)
    ] = {}
    """Dotted path (`objective.beta`, `seed`, or a whole component) to the values it takes; the
    product of all is run, at most 10,000."""


ExperimentBody = create_model("ExperimentSpec", __base__=(RunSpec, Header))
"""The body of a POST as one schema, for documentation."""


@dataclass(frozen=True)
class PlannedRun:
    """One run of an experiment."""

    swept: dict[str, Any]
    spec: RunSpec


@dataclass(frozen=True)
class Experiment:
    """A checked experiment."""

    name: str
    tags: list[str]
    notes: str
    document: dict[str, Any]
    """The spec as posted."""
    runs: list[PlannedRun]


def parse_experiment(data: object, *, remote: bool = False) -> Experiment:
    """Check a posted spec and expand its sweep.

    Raises:
        InvalidSpec: with every fault (at most 20 of them), paths as the client wrote them.
    """
    if not isinstance(data, Mapping):
        raise InvalidSpec([Fault("", shown(data), "an object with at least dataset and objective")])
    known = sorted(ExperimentBody.model_fields)
    if unknown := [str(key) for key in data if key not in known][:MOST_FAULTS]:
        expected = "one of the fields " + ", ".join(known)
        raise InvalidSpec(
            [Fault(shown(key), shown(data[key]), expected, nearest(key, known)) for key in unknown]
        )
    header_data = {key: data[key] for key in Header.model_fields if key in data}
    base = {key: value for key, value in data.items() if key not in Header.model_fields}
    header = Header.parse(header_data)
    _check_sweep(header.sweep)
    runs = _expand(base, header.sweep, remote=remote)
    first = runs[0].spec
    name = header.name or f"{first.objective.name} on {first.dataset.name}"
    return Experiment(name, header.tags, header.notes, dict(data), runs)


def changed(document: Mapping[str, Any], changes: object) -> dict[str, Any]:
    """A posted spec with some of it changed: dotted path to the new value.

    `sweep.objective.beta` sets the values of one path of the sweep, `sweep` all of it.

    Raises:
        InvalidSpec: the changes are no object, or a path leads through what is none.
    """
    if not isinstance(changes, Mapping):
        expected = "an object of dotted paths and values, as {objective.beta: 8}"
        raise InvalidSpec([Fault("changes", shown(changes), expected)])
    paths = {path: value for path, value in changes.items() if not path.startswith("sweep.")}
    spec = with_values(document, paths)
    for path in changes.keys() - paths.keys():
        sweep = spec.setdefault("sweep", {})
        if not isinstance(sweep, dict):
            raise InvalidSpec([Fault("sweep", shown(sweep), f"an object, as {path} is set")])
        sweep[path.removeprefix("sweep.")] = changes[path]
    return spec


def _check_sweep(sweep: Mapping[str, Sequence[Any]]) -> None:
    total = math.prod(len(values) for values in sweep.values())
    if total > MAX_RUNS:
        lengths = " x ".join(str(len(values)) for values in sweep.values())
        raise InvalidSpec([Fault("sweep", f"{lengths} = {total} runs", f"at most {MAX_RUNS} runs")])
    known = list(RunSpec.model_fields)
    faults = [
        Fault(
            f"sweep.{shown(path)}",
            shown(path),
            "a path into " + ", ".join(known),
            nearest(head, known),
        )
        for path in sweep
        if (head := path.partition(".")[0]) not in known
    ]
    if faults:
        raise InvalidSpec(faults)


def _expand(
    base: Mapping[str, Any], sweep: Mapping[str, Sequence[Any]], *, remote: bool
) -> list[PlannedRun]:
    runs: list[PlannedRun] = []
    faults: dict[str, Fault] = {}
    fits: set[tuple[str, str]] = set()
    for places in itertools.product(*(range(len(values)) for values in sweep.values())):
        place = dict(zip(sweep, places, strict=True))
        swept = {path: sweep[path][index] for path, index in place.items()}
        try:
            spec = RunSpec.parse(with_values(base, swept), remote=remote)
            _check_files(spec)
            check_state(spec, fits)
            runs.append(PlannedRun(swept, spec))
        except InvalidSpec as error:
            for fault in _at_sweep(error.faults, place, swept):
                faults.setdefault(fault.path, fault)
            if len(faults) >= MOST_FAULTS:
                break
    if faults:
        raise InvalidSpec(list(faults.values())[:MOST_FAULTS])
    return runs


def _check_files(spec: RunSpec) -> None:
    """Look at the data of a run, and of those that it goes on from, whose identity they are of."""
    at: str = "dataset.path"
    here: RunSpec | None = spec
    while here is not None:
        try:
            here.dataset.identity()
        except (OSError, UnusableFile) as error:
            reason = str(error) if isinstance(error, MissingFile | UnusableFile) else error.strerror
            given = here.dataset.model_dump().get("path")
            raise InvalidSpec(
                [Fault(at, shown(given), f"a file that can be read, but {reason}")]
            ) from None
        at, here = f"origin.{at}", here.origin_spec()


def _at_sweep(
    faults: Sequence[Fault], place: Mapping[str, int], values: Mapping[str, Any]
) -> Iterator[Fault]:
    """Faults moved to the swept value that caused them."""
    for fault in faults:
        path, got = fault.path, fault.got
        for swept in sorted(place, key=len, reverse=True):
            if path == swept or path.startswith((f"{swept}.", f"{swept}[")):
                path = f"sweep.{swept}[{place[swept]}]{path[len(swept) :]}"
                break
        else:
            # What the fields of an object are together is the doing of the one that is swept.
            below = [swept for swept in place if swept.startswith(f"{path}.")]
            if len(below) == 1 and isinstance(got, Mapping):
                path, got = f"sweep.{below[0]}[{place[below[0]]}]", shown(values[below[0]])
        yield Fault(path, got, fault.expected, fault.nearest)
