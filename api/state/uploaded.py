"""Data sets by name, those that come with Heddle and those that people uploaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

from ml.components.registry import UnknownComponent, components
from ml.components.spec_errors import Fault, InvalidSpec, parsed
from ml.datasets.protocol import DatasetComponent
from ml.spec.run_spec import RunSpec
from ml.spec.uploaded import TABLE, Meaning, Uploaded
from store.database.connection import Database
from store.datasets import KnownName, known_names

MOST_LISTED = 100
"""The most names in a message about an unknown one."""


class _Stored(Uploaded):
    """All uploaded data sets, which are read when the first is asked for.

    Most specs name a data set that comes with Heddle.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @cached_property
    def _known(self) -> list[KnownName]:
        return known_names(self._database)

    @cached_property
    def names(self) -> Mapping[str, Meaning]:
        return {one.name: Meaning(one.digest, one.current) for one in self._known}

    @cached_property
    def listed(self) -> tuple[str, ...]:
        found = (one.name for one in self._known if one.name == one.current and not one.private)
        return tuple(sorted(found)[:MOST_LISTED])


def uploaded(database: Database) -> Uploaded:
    """All uploaded data sets. Messages name those that are not private."""
    return _Stored(database)


def dataset_named(database: Database, name: str) -> DatasetComponent:
    """The data set of this name with its default params.

    Raises:
        UnknownComponent: there is none.
        InvalidSpec: it has a param without a default.
    """
    known = uploaded(database)
    if name in components("dataset"):
        kind, params = name, {"name": name}
    elif name in known.names:
        digest, called = known.names[name]
        kind, params = TABLE, {"name": TABLE, "stored": digest, "called": called}
    else:
        raise UnknownComponent("dataset", name, [*components("dataset"), *known.listed])
    component = components("dataset")[kind]
    assert issubclass(component, DatasetComponent)
    try:
        return parsed(component, params)
    except InvalidSpec as error:
        missing = ", ".join(fault.path for fault in error.faults)
        expected = f"a data set that needs no params, but {name} needs {missing}"
        raise InvalidSpec([Fault("name", name, expected)]) from None


def used_by(spec: RunSpec) -> frozenset[tuple[str, str]]:
    """The uploaded data sets of a run and its origins, as (digest, name)."""
    return frozenset(_used(spec))


def _used(spec: RunSpec) -> Iterator[tuple[str, str]]:
    here: RunSpec | None = spec
    while here is not None:
        params = here.dataset.model_dump(include={"stored", "called"})
        if params.get("stored"):
            yield params["stored"], params["called"]
        here = here.origin_spec()
