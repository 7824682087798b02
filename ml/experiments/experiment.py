"""Experiments: a spec with a sweep, expanded into the specs of its runs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, create_model

from ml.components.described import Described
from ml.components.dotted_paths import with_values
from ml.components.registry import nearest
from ml.components.spec_errors import MOST_FAULTS, Fault, InvalidSpec, parsed, shown
from ml.datasets.protocol import MissingFile, UnusableFile
from ml.experiments.origin import check_state
from ml.spec.run_spec import RunSpec
from ml.spec.uploaded import Uploaded

MAX_RUNS = 10_000
Tag = Annotated[str, Field(min_length=1, max_length=64)]


class Label(Described):
    """The name, tags and notes of an experiment.

    They are part of no identity, so that renaming an experiment retrains nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """The experiment's name; "objective on dataset" by default."""
    tags: Annotated[list[Tag], Field(max_length=32)] = []
    """Words to find the experiment by."""
    notes: Annotated[str, Field(max_length=10_000)] = ""
    """Free text."""

    @classmethod
    def parse(cls, data: object) -> Self:
        """Check a client's data.

        Raises:
            InvalidSpec: the data are wrong. The error lists every fault.
        """
        return parsed(cls, data)


class Header(Label):
    """The fields of an experiment that are not in the spec of a run."""

    sweep: Annotated[
        dict[str, Annotated[list[Any], Field(min_length=1)]], Field(max_length=16)
    ] = {}
    """Dotted path (`objective.beta`, `seed`, or a whole component) to the values it takes. There is
    a run for each combination, and at most 10,000."""


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


def parse_experiment(
    data: object, *, remote: bool = False, uploaded: Uploaded | None = None
) -> Experiment:
    """Check a posted spec and expand its sweep. It may name data sets that were `uploaded`.

    Raises:
        InvalidSpec: the spec is wrong. The error lists every fault (at most 20 of them) with paths
            as the client wrote them.
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
    runs = _expand(base, header.sweep, remote=remote, uploaded=uploaded)
    first = runs[0].spec
    name = header.name or f"{first.objective.name} on {first.dataset.known_as}"
    return Experiment(name, header.tags, header.notes, dict(data), runs)


def changed(document: Mapping[str, Any], changes: object) -> dict[str, Any]:
    """A posted spec with changes, each a dotted path with its new value.

    The path `sweep.objective.beta` sets the values of one path of the sweep; `sweep` sets all of
    it.

    Raises:
        InvalidSpec: the changes are no object, or a path leads through a value that is no object.
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
    base: Mapping[str, Any],
    sweep: Mapping[str, Sequence[Any]],
    *,
    remote: bool,
    uploaded: Uploaded | None,
) -> list[PlannedRun]:
    faults = _Faults(sweep)
    # Each part of the spec is checked only once for each value it takes, as many runs may share it.
    fields = {
        field: [path for path in sweep if path.partition(".")[0] == field]
        for field in RunSpec.model_fields
    }
    parts: dict[tuple[str, tuple[int, ...]], Any] = {}
    for field, paths in fields.items():
        given = {field: base[field]} if field in base else {}
        for place in _places(sweep, paths):
            with faults.at(place):
                data = with_values(given, {path: sweep[path][at] for path, at in place.items()})
                parts[field, tuple(place.values())] = RunSpec.part(
                    field, data, remote=remote, uploaded=uploaded
                )
    faults.raise_found()
    runs: list[PlannedRun] = []
    fits: set[tuple[str, str]] = set()
    for place in _places(sweep, sweep):
        with faults.at(place):
            spec = RunSpec.of_parts(
                {
                    field: parts[field, tuple(place[path] for path in paths)]
                    for field, paths in fields.items()
                },
                remote=remote,
                uploaded=uploaded,
            )
            _check_files(spec)
            check_state(spec, fits)
            runs.append(PlannedRun({path: sweep[path][at] for path, at in place.items()}, spec))
    faults.raise_found()
    return runs


def _places(sweep: Mapping[str, Sequence[Any]], paths: Iterable[str]) -> Iterator[dict[str, int]]:
    """Every place of a sweep over these paths: each path with the index of its value."""
    numbers = {path: range(len(sweep[path])) for path in paths}
    for places in itertools.product(*numbers.values()):
        yield dict(zip(numbers, places, strict=True))


class _Faults:
    """Collects the faults at the places of a sweep, each of them once."""

    def __init__(self, sweep: Mapping[str, Sequence[Any]]) -> None:
        self._sweep = sweep
        self._found: dict[str, Fault] = {}
        self._places = 0

    @contextmanager
    def at(self, place: Mapping[str, int]) -> Iterator[None]:
        """Collect the faults of a place.

        Raises:
            InvalidSpec: enough faults are collected.
        """
        try:
            yield
        except InvalidSpec as error:
            values = {path: self._sweep[path][at] for path, at in place.items()}
            for fault in _at_sweep(error.faults, place, values):
                self._found.setdefault(fault.path, fault)
            # Places count too, as each of ten thousand may have the same fault.
            self._places += 1
            if max(self._places, len(self._found)) >= MOST_FAULTS:
                self.raise_found()

    def raise_found(self) -> None:
        """Raise `InvalidSpec` if there are faults."""
        if self._found:
            raise InvalidSpec(list(self._found.values())[:MOST_FAULTS])


def _check_files(spec: RunSpec) -> None:
    """Check that the data files of a run and of all its origins can be read."""
    at: str = "dataset.path"
    here: RunSpec | None = spec
    while here is not None:
        try:
            here.dataset.identity()
            here.dataset.image_shape()
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
    """The faults, at the paths of the swept values that caused them."""
    for fault in faults:
        path, got = fault.path, fault.got
        for swept in sorted(place, key=len, reverse=True):
            if path == swept or path.startswith((f"{swept}.", f"{swept}[")):
                path = f"sweep.{swept}[{place[swept]}]{path[len(swept) :]}"
                break
        else:
            # A fault of a whole object comes from its swept field, if it has only one.
            below = [swept for swept in place if swept.startswith(f"{path}.")]
            if len(below) == 1 and isinstance(got, Mapping):
                path, got = f"sweep.{below[0]}[{place[below[0]]}]", shown(values[below[0]])
        yield Fault(path, got, fault.expected, fault.nearest)
