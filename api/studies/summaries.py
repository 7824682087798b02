"""Summaries of studies, and leaderboards of data sets."""

from __future__ import annotations

from api.state.context import Context
from api.state.uploaded import uploaded
from api.studies.udr import udr_of
from ml.components.registry import components, nearest
from ml.components.spec_errors import Fault, InvalidSpec, shown
from ml.metrics.protocol import Score
from ml.studies.leaderboard import Table, leaderboard
from ml.studies.study import Study
from ml.studies.summary import StudySummary, summarise
from store import queries


def summary_of(here: Context, study: Study, *, udr: bool = True) -> StudySummary:
    """The summary of a study. It includes UDR unless `udr` is False.

    Raises:
        DamagedObject: a file of codes has been damaged.
        StorageAway: the object folder is away.
    """
    if not udr:
        return summarise(study, udr_missing="it was not asked for.")
    found, missing = udr_of(here, study)
    return summarise(study, udr=found, udr_missing=missing)


def tables_of(
    here: Context, dataset: str, *, metric: str | None, objective: str | None, most: int
) -> list[Table]:
    """The leaderboard of a data set: a table for each number, with at most `most` settings each.

    Raises:
        InvalidSpec: there is no data set, metric or objective of this name.
    """
    own = uploaded(here.database)
    if dataset in own.names:
        dataset = own.names[dataset].called
    asked = {"dataset": dataset, "metric": metric, "objective": objective}
    names = {kind: list(components(kind)) for kind in asked}
    names["dataset"] += own.listed
    faults = [
        Fault(kind, shown(name), "one of " + ", ".join(names[kind]), nearest(name, names[kind]))
        for kind, name in asked.items()
        if name is not None
        and name not in names[kind]
        and not (kind == "dataset" and name in own.names)
    ]
    if faults:
        raise InvalidSpec(faults)
    found, specs = queries.scores_on(here.database, dataset, objective=objective, metric=metric)
    scores = ((one.run_id, Score.model_validate(one.document)) for one in found)
    return leaderboard(scores, specs, most=most)
