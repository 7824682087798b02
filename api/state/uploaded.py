"""Data sets by name, those that come with Heddle and those that people uploaded."""

from __future__ import annotations

from collections.abc import Iterator

from ml.components.registry import UnknownComponent, components
from ml.components.spec_errors import Fault, InvalidSpec, parsed
from ml.datasets.protocol import DatasetComponent
from ml.spec.run_spec import RunSpec
from ml.spec.uploaded import TABLE, Meaning, Uploaded
from store.database.connection import Database
from store.datasets import known_names

MOST_LISTED = 100
"""The most names in a message about an unknown one."""


def uploaded(database: Database) -> Uploaded:
    """All uploaded data sets. Messages name those that are not private."""
    known = known_names(database)
    listed = (one.name for one in known if one.name == one.current and not one.private)
    names = {one.name: Meaning(one.digest, one.current) for one in known}
    return Uploaded(names, tuple(sorted(listed)[:MOST_LISTED]))


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
