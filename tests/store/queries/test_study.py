from __future__ import annotations

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from store.errors import NotFound
from store.jobs.finish import finish_evaluation
from store.queries import place_results, scores_on
from tests.store.lab import EVALUATE, Lab

SCORE = {"name": "mig", "metric": "mig", "value": 0.5}


def test_scores_come_without_their_details_and_with_what_else_they_have(lab: Lab) -> None:
    experiment = lab.post("a", "b")
    lab.train()
    taken = lab.take(EVALUATE)
    finish_evaluation(lab.database, taken, scores=[{**SCORE, "details": {"matrix": [1]}}])
    first, second = place_results(lab.database, experiment)
    assert first.scores == [SCORE] and first.state == "succeeded"
    assert second.scores == [] and second.state == "evaluating"
    found, specs = scores_on(lab.database, "dsprites")
    assert [(one.run_id, one.document) for one in found] == [(first.run_id, SCORE)]
    assert set(specs) == {first.run_id, second.run_id}
    assert scores_on(lab.database, "dsprites", metric="sap")[0] == []
    assert scores_on(lab.database, "dsprites", objective="vae") == ([], {})
    assert scores_on(lab.database, "digits") == ([], {})


def test_an_experiment_that_is_not_there_is_named(lab: Lab) -> None:
    with pytest.raises(NotFound, match="exp_1"):
        place_results(lab.database, "exp_1")


def test_a_thousand_places_take_as_few_queries_as_two(lab: Lab) -> None:
    counts = []
    for places in (2, 1_000):
        experiment = lab.post(*(f"{places}-{place}" for place in range(places)))
        asked: list[object] = []

        def listen(*given: object, asked: list[object] = asked) -> None:
            asked.append(given[2])

        event.listen(Engine, "before_cursor_execute", listen)
        try:
            assert len(place_results(lab.database, experiment)) == places
        finally:
            event.remove(Engine, "before_cursor_execute", listen)
        counts.append(len(asked))
    assert counts[0] == counts[1]
