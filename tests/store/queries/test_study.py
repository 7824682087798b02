from __future__ import annotations

import json

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from store.database.score_parts import NUMBERS, SETTING
from store.errors import NotFound
from store.jobs.finish import finish_evaluation
from store.queries import scores_on, study_digest, study_results
from tests.store.lab import EVALUATE, Lab

SCORE = {"name": "mig", "metric": "mig", "value": 0.5}


def test_scores_come_without_their_details_and_with_all_that_tables_read(lab: Lab) -> None:
    experiment = lab.post("a", "b")
    lab.train()
    taken = lab.take(EVALUATE)
    finish_evaluation(lab.database, taken, scores=[{**SCORE, "details": {"matrix": [1]}}])
    first, second = study_results(lab.database, experiment).places
    [score] = first.scores
    assert json.loads(score.numbers) == [SCORE.get(name) for name in NUMBERS]
    assert json.loads(score.setting) == [SCORE.get(name) for name in SETTING]
    assert first.state == "succeeded"
    assert second.scores == [] and second.state == "evaluating"
    found = scores_on(lab.database, "dsprites")
    assert found.scores == [(first.run_id, score)]
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
