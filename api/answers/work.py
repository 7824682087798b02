"""An experiment as it is shown by itself."""

from __future__ import annotations

from api.documents.experiments import Experiment, experiment_document
from api.state.context import Context
from store import queries
from store.states import RunState


def whole_experiment(here: Context, id: str) -> Experiment:
    """One experiment with the state of each of its runs.

    Raises:
        NotFound: if there is none with this id.
    """
    found = queries.experiment(here.database, id)
    runs = queries.experiment_runs(here.database, id)
    usage = queries.usage(here.database, [id])[id]
    return experiment_document(found, runs, _eta(here, found), usage)


def _eta(here: Context, found: queries.Experiment) -> float | None:
    """The longest time that a run under way says it needs; None while others wait unmeasured."""
    if found.counts.get(RunState.QUEUED, 0) or not found.counts.get(RunState.TRAINING, 0):
        return None
    training = queries.RunFilters(experiment=found.id, state=RunState.TRAINING)
    page = queries.runs(here.database, training, limit=100)
    times = [(run.progress or {}).get("eta_seconds") for run in page.items]
    known = [time for time in times if time is not None]
    return max(known) if len(known) == len(times) and known else None
