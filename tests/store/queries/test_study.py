from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from sqlalchemy import event, update
from sqlalchemy.engine import Engine

from store.database.score_parts import NUMBERS, SETTING
from store.database.tables import Run
from store.errors import NotFound
from store.experiments.cancel import cancel_experiment, resume_experiment
from store.experiments.label import label_experiment
from store.jobs.finish import fail, finish_evaluation, finish_training
from store.jobs.heartbeat import beat
from store.queries import scores_digest, scores_on, study_digest, study_results
from store.retention.delete import delete_experiment
from tests.store.lab import ERROR, EVALUATE, TRAIN, Lab

SCORE = {"name": "mig", "metric": "mig", "value": 0.5}


def test_scores_come_without_their_details_and_with_all_that_tables_read(lab: Lab) -> None:
    experiment = lab.post("a", "b")
    lab.train()
    taken = lab.take(EVALUATE)
    finish_evaluation(lab.database, taken, scores=[{**SCORE, "details": {"matrix": [1]}}])
    first, second = study_results(lab.database, experiment).places
    assert first.scores is not None
    settings, numbers = first.scores
    assert json.loads(numbers) == [SCORE.get(name) for name in NUMBERS]
    assert json.loads(settings) == [SCORE.get(name) for name in SETTING]
    assert first.state == "succeeded"
    assert second.scores is None and second.state == "evaluating"
    found = scores_on(lab.database, "dsprites")
    assert found.scores == [(first.run_id, first.scores)]
    assert set(found.runs) == {first.run_id, second.run_id}
    other = scores_on(lab.database, "dsprites", objective="vae")
    assert (other.scores, other.runs) == ([], {})
    other = scores_on(lab.database, "digits")
    assert (other.scores, other.runs) == ([], {})


def test_an_experiment_that_is_not_there_is_named(lab: Lab) -> None:
    for read in (study_results, study_digest):
        with pytest.raises(NotFound, match="exp_1"):
            read(lab.database, "exp_1")


def test_a_thousand_places_take_as_few_queries_as_two(lab: Lab) -> None:
    counts = []
    for places in (2, 1_000):
        experiment = lab.post(*(f"{places}-{place}" for place in range(places)))
        asked: list[object] = []

        def listen(*given: object, asked: list[object] = asked) -> None:
            asked.append(given[2])

        event.listen(Engine, "before_cursor_execute", listen)
        try:
            assert len(study_results(lab.database, experiment).places) == places
        finally:
            event.remove(Engine, "before_cursor_execute", listen)
        counts.append(len(asked))
    assert counts[0] == counts[1]


def named(lab: Lab, experiment: str, _: str) -> None:
    label_experiment(lab.database, experiment, name="another")


def trained_for_another(lab: Lab, *_: str) -> None:
    """The run goes on for another experiment, and counts as cancelled in this one."""
    [taken] = lab.take_all(TRAIN)
    finish_training(lab.database, taken, record={"final": {"loss": 1.5}})


def scored_for_another(lab: Lab, *_: str) -> None:
    lab.train()
    lab.evaluate()


def failed_otherwise(lab: Lab, experiment: str, run: str) -> None:
    """The run fails, and fails again for another reason. Its experiment is as it was."""
    resume_experiment(lab.database, experiment)
    fail(lab.database, lab.take(), {**ERROR, "message": "for another reason"})


def renamed(lab: Lab, *_: str) -> None:
    with lab.database.write() as session:
        spec = {"dataset": {"name": "table", "called": "faces"}, "seed": 0}
        session.execute(update(Run).values(dataset="faces", spec=spec))


def cancelled_here(lab: Lab) -> str:
    experiment = lab.post("a")
    lab.post("a")
    cancel_experiment(lab.database, experiment)
    return experiment


def failed(lab: Lab) -> str:
    experiment = lab.post("a")
    fail(lab.database, lab.take(), ERROR)
    return experiment


def waiting(lab: Lab) -> str:
    return lab.post("a")


CHANGES = [
    (waiting, named),
    (waiting, scored_for_another),
    (waiting, renamed),
    (cancelled_here, trained_for_another),
    (cancelled_here, scored_for_another),
    (failed, failed_otherwise),
]


@pytest.mark.parametrize(("begin", "change"), CHANGES)
def test_the_digest_changes_with_the_results(
    lab: Lab, begin: Callable[[Lab], str], change: Callable[[Lab, str, str], None]
) -> None:
    experiment = begin(lab)
    [link] = lab.links(experiment)
    before = study_results(lab.database, experiment)
    assert study_digest(lab.database, experiment) == (before.name, before.digest)
    change(lab, experiment, link.run_id)
    after = study_results(lab.database, experiment)
    assert (before.name, before.places) != (after.name, after.places)
    assert study_digest(lab.database, experiment) == (after.name, after.digest)
    assert before.digest != after.digest


def test_the_digest_stays_while_workers_beat_and_others_post(lab: Lab) -> None:
    experiment = lab.post("a")
    taken = lab.take()
    before = study_digest(lab.database, experiment)
    beat(lab.database, taken, lease_seconds=30, progress={"step": 3})
    lab.post("b")
    assert study_digest(lab.database, experiment) == before


def test_the_digest_of_a_data_set_changes_with_its_scores_and_its_runs(lab: Lab) -> None:
    digests = [scores_digest(lab.database, "dsprites")]

    def changed() -> bool:
        digests.append(scores_digest(lab.database, "dsprites"))
        assert scores_on(lab.database, "dsprites").digest == digests[-1]
        return digests[-1] not in digests[:-1]

    experiment = lab.post("a", "b")
    assert changed()
    lab.train()
    assert not changed()
    lab.evaluate()
    assert changed()
    [first, second] = [link.run_id for link in lab.links(experiment)]
    lab.evaluate_again(first, "sap")
    lab.evaluate()
    assert changed()
    lab.post("a", force=True)
    assert changed()
    delete_experiment(lab.database, experiment)
    assert changed()
    assert scores_digest(lab.database, "dsprites", objective="vae") not in digests
    assert second not in scores_on(lab.database, "dsprites").runs
