"""Reading the database: experiments, runs, results and events as plain values."""

from store.queries.event_log import Event, Read, events, last_position, read_on
from store.queries.experiments import (
    Experiment,
    ExperimentFilters,
    ExperimentRun,
    experiment,
    experiment_runs,
    experiments,
)
from store.queries.results import (
    Artifact,
    Evaluation,
    File,
    Score,
    artifact,
    artifact_by_sha,
    artifacts,
    evaluation,
    evaluations,
    evaluations_of_files,
    scores,
    scores_of_evaluation,
)
from store.queries.runs import Attempt, Run, RunFilters, attempts, run, runs, spec_of
from store.queries.study import PlaceResult, RankedScore, place_results, scores_on
from store.queries.usage import Usage, usage

__all__ = [
    "Artifact",
    "Attempt",
    "Evaluation",
    "Event",
    "Experiment",
    "ExperimentFilters",
    "ExperimentRun",
    "File",
    "PlaceResult",
    "RankedScore",
    "Read",
    "Run",
    "RunFilters",
    "Score",
    "Usage",
    "artifact",
    "artifact_by_sha",
    "artifacts",
    "attempts",
    "evaluation",
    "evaluations",
    "evaluations_of_files",
    "events",
    "experiment",
    "experiment_runs",
    "experiments",
    "last_position",
    "place_results",
    "read_on",
    "run",
    "runs",
    "scores",
    "scores_of_evaluation",
    "scores_on",
    "spec_of",
    "usage",
]
