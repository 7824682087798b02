"""New experiments from an old run or experiment: clones, extensions and forks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from api.state.uploaded import uploaded
from api.submission.planning import Planned, changes_of, plan
from ml.components.spec_errors import Fault, InvalidSpec, parsed
from ml.experiments.continuation import Extension, Fork, extended, forked
from ml.experiments.experiment import Experiment, changed, parse_experiment
from store import queries
from store.database.connection import Database
from store.experiments.origins import kept_states

LONGEST_NAME = 200
_STEPS = re.compile(r", [\d,]+ steps$")


@dataclass(frozen=True)
class Work:
    """A run or an experiment from which others are made."""

    id: str
    name: str
    #: An experiment's as posted, or a run's resolved one.
    spec: dict[str, Any]
    tags: list[str]
    run_ids: Sequence[str]

    def cloned(self, database: Database, body: Any) -> Planned:
        """The same spec with changes.

        Raises:
            InvalidSpec: with its faults.
        """
        return plan(database, changed(self.spec, changes_of(body)))

    def extended(self, database: Database, body: Any) -> Planned:
        """The same work, trained further.

        Raises:
            InvalidSpec: with its faults.
            WrongState: a run is not trained.
            StateNotKept: a run has kept only its weights.
        """
        wish = parsed(Extension, body)
        states = kept_states(database, self.run_ids).values()
        document = self._named(f"{wish.steps:,} steps")
        planned = plan(database, extended(document, self._before(database, document), wish))
        courses = {run.course_id for run in planned.runs}
        if None in courses:
            expected = (
                "the steps that its schedules were made for: cosine and cyclical stretch over all"
                " of training, so that a longer run is another from its first step on. Fork it"
                " instead, or clone it"
            )
            raise InvalidSpec([Fault("steps", wish.steps, expected)])
        _check_origins(courses, {state.course_id for state in states})
        return planned._replace(goes_on_from=frozenset(self.run_ids))

    def forked(self, database: Database, body: Any) -> Planned:
        """The same spec with changes, whose training goes on from the ends of these runs.

        Raises: the errors of `extended`.
        """
        wish = parsed(Fork, body)
        states = kept_states(database, self.run_ids).values()
        values = [f"{path}={value}" for path, value in wish.changes.items() if path != "name"]
        document = self._named(*values, f"{wish.steps:,} steps")
        planned = plan(database, forked(document, self._before(database, document), wish))
        origins = {run.origin_id for run in planned.runs}
        _check_origins(origins, {state.train_id for state in states})
        return planned._replace(goes_on_from=frozenset(self.run_ids))

    def _before(self, database: Database, document: dict[str, Any]) -> Experiment:
        return parse_experiment(document, remote=True, uploaded=uploaded(database))

    def _named(self, *details: str) -> dict[str, Any]:
        name = ", ".join(filter(None, [_STEPS.sub("", self.name), *details]))
        if len(name) > LONGEST_NAME:
            name = name[: LONGEST_NAME - 1] + "…"
        return self.spec | {"name": name, "tags": self.tags, "notes": f"Goes on from {self.id}."}


def experiment_work(database: Database, id: str) -> Work:
    """The work of an experiment. Raises `NotFound`."""
    found = queries.experiment(database, id)
    runs = [run.run_id for run in queries.experiment_runs(database, id)]
    return Work(found.id, found.name or "", found.spec, found.tags, runs)


def run_work(database: Database, id: str) -> Work:
    """The work of a run. Raises `NotFound`."""
    found = queries.run(database, id)
    return Work(found.id, f"{found.objective} on {found.dataset}", found.spec, [], [id])


def _check_origins(wanted: set[str | None], there: set[str | None]) -> None:
    """Check that the wanted origins are among those that the runs have.

    Raises:
        InvalidSpec: one is not, since the data or the version of Heddle has changed.
    """
    if not wanted <= there:
        expected = (
            "the data, and the version of Heddle, that it was trained with, but one of them is"
            " another by now, so that nothing can go on from where it ended"
        )
        raise InvalidSpec([Fault("dataset", None, expected)])
