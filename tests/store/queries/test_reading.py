"""What is read is made into values when the transaction has ended."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest

from store import queries
from store.experiments.dry_run import dry_run
from store.jobs import checkpoints, log
from store.jobs.finish import NewArtifact, finish_evaluation, finish_training
from store.jobs.log import Line, add_lines
from store.queries import event_log, results, study
from store.scheduling import queue
from store.workers import presence
from tests.store.lab import EVALUATE, TRAIN, Lab, new_run

# Functions of the same names hide them.
experiments = import_module("store.queries.experiments")
runs = import_module("store.queries.runs")
WORKER = presence.Presence("w", TRAIN, "here", 1, "cpu", "a cpu", None, None)

MADE: list[tuple[ModuleType, str, Callable[[Lab, str, str], Any]]] = [
    (event_log, "_event", lambda lab, id, _: queries.events(lab.database, id)),
    (event_log, "_event", lambda lab, *_: queries.read_on(lab.database, 0).events),
    (
        experiments,
        "ExperimentRun",
        lambda lab, id, _: queries.experiment_runs(lab.database, id),
    ),
    (experiments, "_experiment", lambda lab, id, _: [queries.experiment(lab.database, id)]),
    (
        experiments,
        "_experiment",
        lambda lab, *_: queries.experiments(lab.database, limit=1).items,
    ),
    (runs, "_run", lambda lab, _, run: [queries.run(lab.database, run)]),
    (runs, "_run", lambda lab, *_: queries.runs(lab.database, limit=1).items),
    (results, "_evaluation", lambda lab, _, run: queries.evaluations(lab.database, run)),
    (results, "_score", lambda lab, _, run: queries.scores(lab.database, run)),
    (results, "_artifact", lambda lab, _, run: queries.artifacts(lab.database, run)),
    (study, "PlaceResult", lambda lab, id, _: queries.study_results(lab.database, id).places),
    (study, "RankedScore", lambda lab, *_: queries.scores_on(lab.database, "dsprites").scores),
    (queue, "forecast", lambda lab, *_: [dry_run(lab.database, [new_run("b")])]),
    (log, "KeptLine", lambda lab, _, run: log.log_of_run(lab.database, run)),
    (presence, "PresentWorker", lambda lab, *_: presence.present(lab.database)),
    (checkpoints, "Checkpoint", lambda lab, _, run: checkpoints.checkpoints(lab.database, run)),
]


@pytest.mark.parametrize(
    ("module", "name", "read"), MADE, ids=[f"{row[1]}{n}" for n, row in enumerate(MADE)]
)
def test_nothing_is_made_while_a_transaction_is_open(
    lab: Lab,
    monkeypatch: pytest.MonkeyPatch,
    module: ModuleType,
    name: str,
    read: Callable[[Lab, str, str], list[Any]],
) -> None:
    experiment = lab.post("a")
    presence.say_present(lab.database, WORKER)
    taken = lab.take()
    add_lines(lab.database, taken, [Line(0.0, "INFO", "a worker", "begins")])
    checkpoints.record_checkpoint(
        lab.database,
        taken,
        step=1000,
        path="run/1-1000.safetensors",
        sha256="0" * 64,
        size=1,
        width=1,
        device_model="cpu",
    )
    picture = NewArtifact("a.png", "0" * 64, "image/png", 1)
    finish_training(lab.database, taken, record={}, artifacts=[picture])
    scored = [{"name": "mig", "metric": "mig", "value": 0.5}]
    finish_evaluation(lab.database, lab.take(EVALUATE), scores=scored)
    [run] = [one.run_id for one in queries.experiment_runs(lab.database, experiment)]
    checked_out = lab.database._engine.pool.checkedout  # type: ignore[attr-defined]
    open_at: list[int] = []
    make = getattr(module, name)

    def watched(*args: Any, **values: Any) -> Any:
        open_at.append(checked_out())
        return make(*args, **values)

    monkeypatch.setattr(module, name, watched)
    assert read(lab, experiment, run)
    assert open_at and not any(open_at)
