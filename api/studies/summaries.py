"""Summaries of studies, and leaderboards of data sets."""

from __future__ import annotations

from pydantic import TypeAdapter

from api.documents.base import Page
from api.state.context import Context
from api.state.uploaded import uploaded
from api.studies.reading import Reading
from api.studies.studies import study_without_betas
from api.studies.udr import few_enough, udr_of
from ml.components.registry import components, nearest
from ml.components.spec_errors import Fault, InvalidSpec, shown
from ml.studies.leaderboard import Table, leaderboard
from ml.studies.study import Study
from ml.studies.summary import StudySummary, summarise
from store import queries
from store.database.uncollected import uncollected


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


def summary_bytes(here: Context, experiment_id: str, *, udr: bool) -> bytes:
    """The summary of an experiment's results so far, as JSON.

    Raises:
        NotFound: there is no such experiment. Also the errors of `summary_of`.
    """
    if udr and few_enough(queries.experiment(here.database, experiment_id)):
        # UDR depends on files of codes, too, and is quick for so few runs.
        return _SUMMARY.dump_json(summary_of(here, study_without_betas(here, experiment_id)[1]))

    def make() -> tuple[str, bytes]:
        with uncollected():
            digest, study = study_without_betas(here, experiment_id)
            return digest, _SUMMARY.dump_json(summary_of(here, study, udr=udr))

    digest = queries.study_digest(here.database, experiment_id).digest
    return here.answers.get(("summary", experiment_id, udr), digest, make)


def leaderboard_bytes(
    here: Context, dataset: str, *, metric: str | None, objective: str | None, most: int
) -> bytes:
    """The leaderboard of a data set as JSON: a table for each number, of at most `most` settings.

    Raises:
        InvalidSpec: there is no data set, metric or objective of this name.
    """
    dataset = _known(here, dataset, metric, objective)

    def make() -> tuple[str, bytes]:
        with uncollected():
            found = queries.scores_on(here.database, dataset, objective=objective)
            items = _tables(found, metric, most)
            return found.digest, _LEADERBOARD.dump_json(Page(items=items))

    digest = queries.scores_digest(here.database, dataset, objective=objective)
    return here.answers.get(("leaderboard", dataset, metric, objective, most), digest, make)


_SUMMARY = TypeAdapter(StudySummary)
_LEADERBOARD = TypeAdapter(Page[Table])


def _tables(found: queries.DatasetScores, metric: str | None, most: int) -> list[Table]:
    read = Reading()
    scores = [(one.run_id, read.score(one.score)) for one in found.scores]
    return leaderboard(
        (one for one in scores if metric is None or one[1].like.metric == metric),
        {id: read.spec(run.spec) for id, run in found.runs.items()},
        most=most,
        seeds={id: run.seed for id, run in found.runs.items()},
    )


def _known(here: Context, dataset: str, metric: str | None, objective: str | None) -> str:
    """The current name of a data set, after a check of all names."""
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
    return dataset
