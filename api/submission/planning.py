"""From a posted spec to the runs that the store records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from api.state.uploaded import uploaded, used_by
from api.submission.precision import Chosen
from ml.components.registry import nearest
from ml.components.spec_errors import MOST_FAULTS, Fault, InvalidSpec, shown
from ml.experiments.experiment import Experiment, PlannedRun, parse_experiment
from ml.spec.evaluation_spec import RunEvaluation
from ml.spec.identity import Identities, evaluation_key
from ml.spec.precision import decided
from store.database.connection import Database
from store.experiments.new_run import NewRun


class Planned(NamedTuple):
    """A checked experiment, and the work that it asks for."""

    experiment: Experiment
    runs: list[NewRun]
    #: The ids of the runs to go on from, rather than from others. If there are any, no new run may
    #: begin at its first step.
    goes_on_from: frozenset[str] = frozenset()
    #: What `precision: auto` stands for and why; None if the spec does not say `auto`.
    precision: str | None = None


def plan(database: Database, data: Any) -> Planned:
    """Check a spec that came over HTTP, and list the runs that it asks for.

    Raises:
        InvalidSpec: with its faults. A data set's missing or unusable file is one.
    """
    choose = Chosen(database)
    if isinstance(data, Mapping):
        data = decided(data, choose)
    experiment = parse_experiment(data, remote=True, uploaded=uploaded(database))
    identities = Identities()
    runs = [_new_run(run, identities) for run in experiment.runs]
    return Planned(experiment, runs, precision=choose.reason)


def changes_of(body: Any) -> Any:
    """The changes that the body of a clone asks for.

    Raises:
        InvalidSpec: the body has anything else.
    """
    if not isinstance(body, Mapping):
        raise InvalidSpec([Fault("", shown(body), "an object with changes")])
    others = [name for name in body if name != "changes"][:MOST_FAULTS]
    faults = [
        Fault(shown(name), shown(body[name]), "changes alone", nearest(name, ["changes"]))
        for name in others
    ]
    if faults:
        raise InvalidSpec(faults)
    return body.get("changes", {})


def plan_evaluation(data: Any, run: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Check an evaluation spec that came over HTTP for a run with this spec.

    Returns:
        The resolved `{evaluation, traversal}`, and their identity within the run.

    Raises:
        InvalidSpec: with its faults.
    """
    spec = RunEvaluation.parse(data).of(run)
    return _evaluation_part(spec.document()), evaluation_key(spec)


def _evaluation_part(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: document[name] for name in ("evaluation", "traversal")}


def _new_run(run: PlannedRun, of: Identities) -> NewRun:
    spec = run.spec
    document, origin = spec.document(), spec.origin_spec()
    return NewRun(
        spec=document,
        train_id=of.train_id(spec),
        evaluation=_evaluation_part(document),
        evaluation_key=of.evaluation_key(spec),
        swept=run.swept,
        dataset=spec.dataset.known_as,
        objective=spec.objective.name,
        seed=spec.seed,
        steps=spec.training.steps,
        cohort_key=of.cohort_key(spec),
        pace_key=of.pace_key(spec),
        images=spec.training.steps * spec.training.batch_size,
        course_id=of.course_id(spec),
        origin_id=None if origin is None else of.train_id(origin),
        uploaded=used_by(spec),
    )
