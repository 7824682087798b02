"""What there is to see: plain values for whoever shows them."""

from store.queries.event_log import Event, events
from store.queries.experiments import (
    Experiment,
    ExperimentRun,
    experiment,
    experiment_runs,
    experiments,
)
from store.queries.results import (
    Artifact,
    Curves,
    Evaluation,
    Score,
    artifact,
    artifact_by_sha,
    artifacts,
    evaluation,
    evaluations,
    scalars,
    scores,
)
from store.queries.runs import Run, queue_position, run, runs, spec_of

__all__ = [
    "Artifact",
    "Curves",
    "Evaluation",
    "Event",
    "Experiment",
    "ExperimentRun",
    "Run",
    "Score",
    "artifact",
    "artifact_by_sha",
    "artifacts",
    "evaluation",
    "evaluations",
    "events",
    "experiment",
    "experiment_runs",
    "experiments",
    "queue_position",
    "run",
    "runs",
    "scalars",
    "scores",
    "spec_of",
]
