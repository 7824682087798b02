from __future__ import annotations

import base64
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from store.database.connection import Database
from store.database.pages import decode
from store.errors import BadCursor, NotFound
from store.experiments.cancel import cancel_experiment
from store.jobs.heartbeat import beat
from store.queries import (
    ExperimentFilters,
    RunFilters,
    evaluation,
    experiment,
    experiment_runs,
    experiments,
    run,
    runs,
    spec_of,
)
from store.states import EvaluationState, ExperimentState, RunState
from tests.store.crowd import Place, crowd
from tests.store.lab import EVALUATE, Lab, new_run


def walk(page: Callable[..., Any], **options: Any) -> list[list[str]]:
    """The ids on each page, from the first to the last."""
    pages: list[list[str]] = []
    cursor: str | None = None
    while True:
        found = page(cursor=cursor, **options)
        pages.append([item.id for item in found.items])
        cursor = found.next_cursor
        if cursor is None:
            return pages


def test_cursors_walk_everything_once_newest_first(lab: Lab) -> None:
    posted = [lab.post(f"run {number}") for number in range(7)]
    newest_first = sorted(posted, reverse=True)
    pages = walk(lambda **options: experiments(lab.database, **options), limit=3)
    assert pages == [newest_first[:3], newest_first[3:6], newest_first[6:]]
    pages = walk(lambda **options: runs(lab.database, **options), limit=7)
    assert len(pages) == 1
    assert pages[0] == sorted(pages[0], reverse=True)
    assert len(set(pages[0])) == 7


def test_a_walk_is_not_disturbed_by_what_is_posted_meanwhile(lab: Lab) -> None:
    posted = [lab.post(f"run {number}") for number in range(4)]
    first = experiments(lab.database, limit=2)
    lab.post("later")
    second = experiments(lab.database, limit=2, cursor=first.next_cursor)
    found = [item.id for item in [*first.items, *second.items]]
    assert found == sorted(posted, reverse=True)


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "é",
        "a" * 5000,
        base64.urlsafe_b64encode(b"exp_1' OR 1=1").decode(),
        base64.urlsafe_b64encode(b"run_01m822kecrheprs28fdpac8mzh").decode(),
        base64.urlsafe_b64encode(b"exp_01m822kecrheprs28fdpac8mzh").decode() + "\n",
    ],
)
def test_a_cursor_that_no_page_gave_is_refused(cursor: str) -> None:
    with pytest.raises(BadCursor, match="next_cursor"):
        decode(cursor, "exp")


def test_runs_are_found_by_every_condition(lab: Lab) -> None:
    first = lab.post("a", "b", tags=["demo", "1"])
    second = lab.post(
        runs=[
            new_run("a"),
            new_run("c", objective="factor_vae"),
            new_run("d", dataset="shapes3d"),
        ],
        tags=["paper"],
    )
    a, b = (link.run_id for link in lab.links(first))
    _, c, d = (link.run_id for link in lab.links(second))
    lab.take()

    def found(**conditions: Any) -> set[str]:
        return {item.id for item in runs(lab.database, RunFilters(**conditions), limit=100).items}

    assert found() == {a, b, c, d}
    assert found(experiment=first) == {a, b}
    assert found(experiment=second) == {a, c, d}
    assert found(experiment="exp_x") == set()
    assert found(state=RunState.TRAINING) == {a}
    assert found(objective="factor_vae") == {c}
    assert found(dataset="shapes3d") == {d}
    assert found(tag="demo") == found(tag="1") == {a, b}
    assert found(tag="paper") == {a, c, d}
    assert found(tag="dem") == set()
    assert found(tag="paper", state=RunState.QUEUED, dataset="dsprites") == {c}
    assert found(owner="ada") == {a, b, c, d}
    assert found(owner="bo") == set()
    moment = run(lab.database, c).created_at
    assert found(since=moment) == {c, d}
    assert found(until=moment) == {a, b}


def test_experiments_are_found_by_every_condition(lab: Lab) -> None:
    lab.post("a", name="100% beta", owner="ada", tags=["first"])
    lab.train()
    lab.evaluate()
    of_bo = new_run("b", dataset="digits", objective="vae")
    lab.post(name="Factor", owner="bo", tags=["second"], runs=[of_bo])
    lab.post("c", name="1000 betas", owner="ada", tags=["first", "second"])
    moments = {found.name: found.created_at for found in experiments(lab.database, limit=9).items}

    def names(**conditions: Any) -> list[str | None]:
        filters = ExperimentFilters(**conditions)
        return [one.name for one in experiments(lab.database, filters, limit=9).items]

    assert names() == ["1000 betas", "Factor", "100% beta"]
    assert names(name="BETA") == ["1000 betas", "100% beta"]
    assert names(name="0% b") == ["100% beta"]
    assert names(tag="second") == ["1000 betas", "Factor"]
    assert names(owner="bo") == ["Factor"]
    assert names(dataset="digits") == names(objective="vae") == ["Factor"]
    assert names(state=ExperimentState.SUCCEEDED) == ["100% beta"]
    assert names(state=ExperimentState.QUEUED, owner="ada") == ["1000 betas"]
    assert names(since=moments["Factor"]) == ["1000 betas", "Factor"]
    assert names(until=moments["Factor"]) == ["100% beta"]
    assert names(dataset="cars3d") == []


def test_a_walk_over_a_state_passes_over_the_others(lab: Lab) -> None:
    done = []
    for number in range(9):
        id = lab.post(f"run {number}")
        if number % 4 == 0:
            done.append(id)
            lab.train()
            lab.evaluate()
        else:
            cancel_experiment(lab.database, id)
    succeeded = ExperimentFilters(state=ExperimentState.SUCCEEDED)
    found = walk(lambda **options: experiments(lab.database, succeeded, **options), limit=1)
    assert found == [[id] for id in reversed(done)]


def test_a_run_tells_who_holds_it_and_how_far_it_is(lab: Lab) -> None:
    first, second = lab.post("a"), lab.post("a", "a")
    run_id = lab.run_of(first)
    beat(lab.database, lab.take(), lease_seconds=-1, progress={"step": 5})
    found = run(lab.database, run_id)
    assert found.experiments == [first, second]
    assert found.progress == {"step": 5}


def test_progress_of_a_running_evaluation_comes_first(lab: Lab) -> None:
    id = lab.post("a")
    lab.train()
    taken = lab.take(EVALUATE)
    beat(lab.database, taken, lease_seconds=30, progress={"stage": "metrics"})
    assert run(lab.database, lab.run_of(id)).progress == {"stage": "metrics"}


def test_what_does_not_exist_is_named(lab: Lab) -> None:
    for query, kind in (
        (experiment, "experiment"),
        (experiment_runs, "experiment"),
        (run, "run"),
        (spec_of, "run"),
        (evaluation, "evaluation"),
    ):
        with pytest.raises(NotFound, match=f"no {kind} 'x'"):
            query(lab.database, "x")


def test_the_database_finds_experiments_by_the_state_that_their_places_add_up_to(
    database: Database,
) -> None:
    each = [
        Place(run, evaluation, wanted)
        for run in RunState
        for evaluation in EvaluationState
        for wanted in (True, False)
    ]
    draw = random.Random(0)
    several = [draw.choices(each, k=draw.randint(2, 4)) for _ in range(200)]
    ids = crowd(database, [*([place] for place in each), *several])
    known = {id: experiment(database, id).state for id in ids}
    assert set(known.values()) == set(ExperimentState)
    for state in ExperimentState:
        pages = walk(partial(experiments, database, ExperimentFilters(state=state)), limit=40)
        found = [id for page in pages for id in page]
        assert found == sorted((id for id in ids if known[id] is state), reverse=True)


def test_a_state_is_looked_for_in_one_query_however_many_have_another(database: Database) -> None:
    done = Place(RunState.SUCCEEDED, EvaluationState.SUCCEEDED)
    failed = Place(RunState.FAILED, EvaluationState.FAILED)
    crowd(database, [[failed], *[[done]] * 50])
    asked: list[str] = []

    def listen(*given: Any) -> None:
        asked.append(given[2])

    event.listen(Engine, "before_cursor_execute", listen)
    try:
        failures = ExperimentFilters(state=ExperimentState.FAILED)
        [found] = experiments(database, failures, limit=1).items
    finally:
        event.remove(Engine, "before_cursor_execute", listen)
    assert found.state is ExperimentState.FAILED
    # The experiments, and the counts of those that were found.
    assert sum(statement.startswith("SELECT") for statement in asked) == 2
