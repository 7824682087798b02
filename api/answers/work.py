"""The documents of experiments, runs and evaluations, by themselves or in lists."""

from __future__ import annotations

from collections.abc import Sequence

from api.answers.waiting import waiting
from api.documents.evaluations import EvaluationDocument, evaluation_document
from api.documents.experiments import Experiment, experiment_document
from api.documents.record import full_record
from api.documents.runs import Run, run_document
from api.state.context import Context
from store import queries
from store.experiments.written import Written
from store.queries.whole import whole
from store.states import RunState
from store.workers.troubles import troubles


def whole_experiment(here: Context, id: str) -> Experiment:
    """One experiment with the state of each of its runs.

    Raises:
        NotFound: there is none with this id.
    """
    found, runs, usage = whole(here.database, id)
    return experiment_document(found, runs, _eta(here, found), usage)


def written_experiment(found: Written) -> Experiment:
    """The same, of what was just written."""
    return experiment_document(found.experiment, found.runs, None, queries.Usage())


def listed_experiments(here: Context, found: Sequence[queries.Experiment]) -> list[Experiment]:
    """Experiments without their runs."""
    usage = queries.usage(here.database, [one.id for one in found])
    return [experiment_document(one, None, None, usage[one.id]) for one in found]


def whole_run(here: Context, id: str) -> Run:
    """One run.

    Raises:
        NotFound: there is none with this id.
    """
    found = queries.run(here.database, id)
    known = troubles(here.database)
    tried = queries.attempts(here.database, [id])[id]
    return run_document(found, waiting(here, found, known), full_record(found, tried))


def listed_runs(here: Context, found: Sequence[queries.Run]) -> list[Run]:
    """Runs. Their places in the queue may be two seconds old."""
    known = troubles(here.database)
    tried = queries.attempts(here.database, [one.id for one in found])
    return [
        run_document(one, waiting(here, one, known, listed=True), full_record(one, tried[one.id]))
        for one in found
    ]


def whole_evaluation(here: Context, id: str, *, reused: bool | None = None) -> EvaluationDocument:
    """One evaluation with its scores. `reused` is for the answer to a request that asks for it.

    Raises:
        NotFound: there is none with this id.
    """
    found = queries.evaluation(here.database, id)
    scores = queries.scores_of_evaluation(here.database, id)
    return evaluation_document(found, scores, reused=reused)


def _eta(here: Context, found: queries.Experiment) -> float | None:
    """The longest time that a run in training still needs. None if a run waits or does not know."""
    if found.counts.get(RunState.QUEUED, 0) or not found.counts.get(RunState.TRAINING, 0):
        return None
    training = queries.RunFilters(experiment=found.id, state=RunState.TRAINING)
    page = queries.runs(here.database, training, limit=100)
    times = [(run.progress or {}).get("eta_seconds") for run in page.items]
    known = [time for time in times if time is not None]
    return max(known) if len(known) == len(times) and known else None
