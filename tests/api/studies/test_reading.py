"""What is read by columns and kept equals what each document says, and is never out of date."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.responses import JSONResponse
from sqlalchemy import delete

from api.documents.base import Page
from api.studies.result_files import results_bytes
from api.studies.studies import betas
from ml.metrics.protocol import Score
from ml.studies.leaderboard import Table, leaderboard
from ml.studies.study import RunResult, Study, study
from ml.studies.summary import summarise
from store import queries
from store.database import tables
from store.database.connection import Database
from store.jobs.finish import finish_evaluation, finish_training
from store.retention.delete import delete_experiment
from store.states import JobKind
from tests.api.service import RECORD, SPEC, Service, problem, scores, serving

SWEEP = {**SPEC, "name": 'a "sweep", so', "sweep": {"objective.beta": [1, 4.5], "seed": [0, 1, 2]}}
AWKWARD: list[dict[str, Any]] = [
    {},
    {"value": -0.0, "ci95": None},
    {"value": 1e-300, "null": None, "ci95": [-1.0, 1e300]},
    {"value": None, "error": 'no "value", said \u201cnumpy\u201d;\nsee\u2028this', "null": None},
    {"value": 0.1 + 0.2, "rows": 7, "factors": ["größe", "x,y"], "codes": "sample"},
    {"value": 12345678901234567.0, "params": {"bins": 30, "cut": [1, 2.0]}, "images": "all"},
]
"""What sets scores of one metric apart, one for each run."""


def filled(service: Service) -> str:
    """The id of an experiment whose runs have awkward scores; one run has failed."""
    id: str = service.post(SWEEP)["id"]
    record = {**RECORD, "final": {"loss": 1 / 3, "reconstruction": 100.25, "kl": 1e-5}}
    for changes in AWKWARD[:-1]:
        finish_training(service.database, service.take(), record=record)
        documents = [one | changes for one in scores()]
        evaluation = service.take(JobKind.EVALUATE)
        finish_evaluation(service.database, evaluation, scores=documents)
    service.fail()
    return id


def plainly(service: Service, id: str) -> Study:
    """The study of an experiment, by whole documents of runs and scores, one after the other."""
    database = service.database
    results = []
    for place in queries.experiment_runs(database, id):
        run = queries.run(database, place.run_id)
        evaluation = queries.evaluation(database, place.evaluation_id)
        found = queries.scores_of_evaluation(database, place.evaluation_id)
        error = run.error or evaluation.error
        beta, beta_norm = betas(run.spec)
        results.append(
            RunResult(
                run_id=run.id,
                state=place.state.value,
                train_id=run.train_id,
                spec=run.spec,
                swept=dict(sorted(place.swept.items(), key=lambda item: item[0] == "seed")),
                scores=[Score.model_validate(one.document) for one in found],
                final=(run.record or {}).get("final") or {},
                error=str(error["message"]) if error else None,
                beta=beta,
                beta_norm=beta_norm,
            )
        )
    return study(queries.experiment(database, id).name or "", results)


def test_answers_are_to_the_letter_those_of_the_whole_documents(service_on_each: Service) -> None:
    id = filled(service_on_each)
    expected, path = plainly(service_on_each, id), f"/v1/experiments/{id}"
    rows = JSONResponse({"items": expected.rows(), "next_cursor": None}).body
    for _ in ("made", "kept"):
        assert service_on_each.get(f"{path}/results").content == rows
        csv = service_on_each.get(f"{path}/results?format=csv").content
        assert csv == results_bytes(expected, "csv")
        summary = service_on_each.get(f"{path}/summary?udr=false").content.decode()
        assert summary == summarise(expected, udr_missing="it was not asked for.").model_dump_json()


def test_leaderboards_are_to_the_letter_those_of_the_whole_documents(
    service_on_each: Service,
) -> None:
    id = filled(service_on_each)
    database = service_on_each.database
    runs = [place.run_id for place in queries.experiment_runs(database, id)]
    found = [
        (run, Score.model_validate(one.document))
        for run in runs
        for one in queries.scores(database, run)
    ]
    specs = {run: queries.spec_of(database, run) for run in runs}
    for query, those in (
        ("", found),
        ("&metric=mig", [one for one in found if one[1].metric == "mig"]),
        ("&metric=sap", []),
    ):
        tables = leaderboard(those, specs, most=20)
        expected = Page[Table](items=tables).model_dump_json()
        for _ in ("made", "kept"):
            answer = service_on_each.get(f"/v1/leaderboard?dataset=digits{query}")
            assert answer.content.decode() == expected


Change = Callable[[Service, str], Any]


def _ends(service: Service, _: str) -> None:
    finish_training(service.database, service.take(), record={**RECORD, "final": {"loss": 2.5}})


def _scored(service: Service, _: str) -> None:
    service.finish()


def _failed(service: Service, _: str) -> None:
    service.fail()


def _cancelled(service: Service, id: str) -> None:
    assert service.client.post(f"/v1/experiments/{id}/cancel").status_code == 202


def _named(service: Service, id: str) -> None:
    answer = service.client.patch(f"/v1/experiments/{id}", json={"name": "another"})
    assert answer.status_code == 200


CHANGES: dict[str, tuple[Change, set[str]]] = {
    "a run is trained": (_ends, {"results", "csv", "summary"}),
    "a run has its scores": (_scored, {"results", "csv", "summary", "leaderboard"}),
    "a run fails": (_failed, {"results", "csv", "summary"}),
    "the experiment is cancelled": (_cancelled, {"results", "csv", "summary"}),
    "it is named": (_named, {"summary"}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_shows_at_once_also_in_another_process(
    tmp_path: Path, database_url: str, change: str
) -> None:
    # The other service stands for another process: it shares nothing but what is stored.
    with (
        serving(tmp_path, database_url=database_url) as service,
        serving(tmp_path, database_url=database_url) as other,
    ):
        services = (service, other)
        id = service.post(SWEEP)["id"]
        service.finish()
        path = f"/v1/experiments/{id}"
        asked = {
            "results": f"{path}/results",
            "csv": f"{path}/results?format=csv",
            "summary": f"{path}/summary?udr=false",
            "leaderboard": "/v1/leaderboard?dataset=digits",
        }
        before = [{name: one.get(at).content for name, at in asked.items()} for one in services]
        assert before[0] == before[1]
        make, changes = CHANGES[change]
        make(service, id)
        after = [{name: one.get(at).content for name, at in asked.items()} for one in services]
    assert after[0] == after[1]
    assert {name for name in asked if after[0][name] != before[0][name]} == changes


def test_what_is_deleted_by_another_process_is_in_no_answer(
    tmp_path: Path, database_url: str
) -> None:
    with serving(tmp_path, database_url=database_url) as service:
        ids = [
            service.post({**SWEEP, "sweep": {"objective.beta": [beta]}})["id"] for beta in (1, 2)
        ]
        service.finish()
        service.finish()
        asked = [
            f"/v1/experiments/{ids[0]}/results",
            f"/v1/experiments/{ids[0]}/results?format=csv",
            f"/v1/experiments/{ids[0]}/summary?udr=false",
        ]
        [run] = [place.run_id for place in queries.experiment_runs(service.database, ids[0])]
        board = "/v1/leaderboard?dataset=digits"
        assert all(service.get(at).content for at in asked)
        assert run in service.get(board).content.decode()
        other = Database(database_url)
        delete_experiment(other, ids[0])
        other.dispose()
        for at in asked:
            problem(service.client.get(at), 404)
        # The experiment that is left has a run of its own.
        after = service.get(board).content.decode()
        [left] = [place.run_id for place in queries.experiment_runs(service.database, ids[1])]
        assert run not in after and left in after


def test_scores_that_are_gone_with_their_evaluation_are_in_no_answer(
    tmp_path: Path, database_url: str
) -> None:
    with serving(tmp_path, database_url=database_url) as service:
        id = service.post(SWEEP)["id"]
        service.finish()
        path = f"/v1/experiments/{id}"
        asked = [
            f"{path}/results",
            f"{path}/results?format=csv",
            f"{path}/summary?udr=false",
            "/v1/leaderboard?dataset=digits",
        ]
        before = [service.get(at).content for at in asked]
        other = Database(database_url)
        [scored] = [
            place.run_id
            for place in queries.experiment_runs(other, id)
            if queries.scores(other, place.run_id)
        ]
        link = tables.ExperimentRun
        with other.write() as session:
            # As no part of the service does it: from one place of a sweep.
            session.execute(delete(tables.Score).where(tables.Score.run_id == scored))
            session.execute(delete(link).where(link.run_id == scored))
        other.dispose()
        after = [service.get(at).content for at in asked]
    assert all(scored in one.decode() for one in (before[0], before[1], before[3]))
    assert not any(scored in one.decode() for one in after)
    assert all(one != two for one, two in zip(before, after, strict=True))
