from __future__ import annotations

import io
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from ml.metrics.protocol import Score
from store.files.artifact_names import CURVES
from store.jobs.finish import NewArtifact, finish_training
from store.jobs.heartbeat import beat
from store.states import RunState
from tests.api.service import PICTURE, RECORD, SPEC, Service, problem, scores


@pytest.fixture(scope="module")
def run(shared: Service) -> str:
    """The path of a finished run."""
    experiment = shared.post({**SPEC, "name": "one", "tags": ["demo"]})
    shared.finish()
    return f"/v1/runs/{shared.run_of(experiment)}"


def test_a_run_goes_through_its_states_to_scores_and_pictures(service_on_each: Service) -> None:
    path = f"/v1/runs/{service_on_each.run_of(service_on_each.post())}"
    assert service_on_each.json(path)["state"] == "queued"
    service_on_each.finish()
    assert service_on_each.json(path)["state"] == "succeeded"
    assert service_on_each.json(f"{path}/scores")["items"][0]["metric"] == "mig"
    assert service_on_each.json(f"{path}/scalars")["kl"] == [[1, 0.5]]
    assert service_on_each.get(f"{path}/traversal.png").content.startswith(PICTURE)


def test_a_finished_run_says_what_its_numbers_depend_on(shared: Service, run: str) -> None:
    document = shared.json(run)
    assert document["record"].items() >= RECORD.items()
    assert document["record"]["identities"]["train_id"] == document["train_id"]
    assert len(document["record"]["identities"]["cohort_key"]) == 64
    [listed] = shared.json("/v1/runs")["items"]
    assert listed["record"] == document["record"]
    assert document["progress"]["steps"] == 300_000
    assert document["attempts"] == 1
    assert document["waiting"] is None and document["error"] is None
    assert document["created_at"] <= document["started_at"] <= document["finished_at"]
    assert len(document["train_id"]) == 64 and document["spec"]["seed"] == 0
    [experiment] = document["experiments"]
    assert shared.json(f"/v1/experiments/{experiment}")["name"] == "one"
    for link in ("self", "scores", "scalars", "artifacts"):
        shared.json(document["links"][link])
    assert shared.get(document["links"]["traversal"]).status_code == 200


def test_a_waiting_run_says_which_place_it_has(service: Service) -> None:
    runs = service.post({**SPEC, "sweep": {"seed": [0, 1, 2]}})["runs"]
    waiting = [service.json(f"/v1/runs/{one['id']}")["waiting"] for one in runs]
    assert [one["position"] for one in waiting] == [1, 2, 3]
    assert [one["reason"].partition("; ")[2] for one in waiting] == [
        "it is next",
        "1 before it in the queue",
        "2 before it in the queue",
    ]
    assert all("training worker" in one["reason"] for one in waiting)


def test_a_run_that_a_worker_has_waits_for_nothing(service: Service) -> None:
    path = f"/v1/runs/{service.run_of(service.post())}"
    service.take()
    assert service.json(path)["state"] == "training"
    assert service.json(path)["waiting"] is None


def test_a_failed_run_says_why_and_what_may_help(service: Service) -> None:
    path = f"/v1/runs/{service.run_of(service.post())}"
    service.fail()
    document = service.json(path)
    assert document["state"] == "failed"
    assert document["error"] == {
        "type": "Diverged",
        "message": "the loss is NaN",
        "advice": "lower the rate",
    }
    resumed = service.client.post(f"{path}/resume")
    assert resumed.status_code == 202
    assert (resumed.json()["state"], resumed.json()["error"]) == ("queued", None)


def test_a_waiting_run_is_cancelled_and_resumed(service: Service) -> None:
    path = f"/v1/runs/{service.run_of(service.post())}"
    for verb, state in (("cancel", "cancelled"), ("resume", "queued")):
        answer = service.client.post(f"{path}/{verb}")
        assert answer.status_code == 202 and answer.json()["state"] == state


def test_scores_are_the_documents_that_the_evaluation_left(shared: Service, run: str) -> None:
    page = shared.json(f"{run}/scores")
    assert page["next_cursor"] is None
    # Times differ, and so do versions where one library is loaded and another is not.
    volatile = {"seconds", "versions"}
    kept = [{key: one[key] for key in set(one) - volatile} for one in page["items"]]
    assert kept == [{key: one[key] for key in set(one) - volatile} for one in scores()]
    assert set(page["items"][0]) == set(Score.model_fields)
    assert page["items"][0]["value"] == pytest.approx(1.0)


def test_scalars_are_curves_by_tag(shared: Service, run: str) -> None:
    curves = shared.json(f"{run}/scalars")
    assert set(curves) == {"loss", "kl"}
    assert curves["loss"][:2] == [[1, 100.0], [2, 50.0]] and len(curves["loss"]) == 100


def test_only_the_tags_asked_for_come(shared: Service, run: str) -> None:
    assert set(shared.json(f"{run}/scalars?tags=kl")) == {"kl"}
    assert set(shared.json(f"{run}/scalars?tags=kl,loss")) == {"kl", "loss"}
    assert shared.json(f"{run}/scalars?tags=lost") == {}


@pytest.mark.parametrize("most", [2, 3, 10, 99])
def test_thinned_curves_keep_both_ends(shared: Service, run: str, most: int) -> None:
    loss = shared.json(f"{run}/scalars?max_points={most}")["loss"]
    steps = [step for step, _ in loss]
    assert len(steps) == most and (steps[0], steps[-1]) == (1, 100)
    assert steps == sorted(set(steps))


def test_artifacts_are_listed_with_where_their_bytes_are(shared: Service, run: str) -> None:
    page = shared.json(f"{run}/artifacts")
    names = [one["name"] for one in page["items"]]
    assert names == ["codes.npz", "curves.png", "reconstructions.png", "traversal.png"]
    for one in page["items"]:
        content = shared.get(one["links"]["content"])
        assert content.headers["content-type"] == one["media_type"]
        assert len(content.content) == one["bytes"]


def test_codes_are_numpy_arrays(shared: Service, run: str) -> None:
    answer = shared.get(f"{run}/codes.npz")
    assert answer.headers["content-disposition"] == 'attachment; filename="codes.npz"'
    assert np.load(io.BytesIO(answer.content))["mean"].shape == (3, 2)


@pytest.mark.parametrize("name", ["traversal.png", "plots/traversal.png", "plots/curves.png"])
def test_pictures_are_shown_and_asked_for_again(shared: Service, run: str, name: str) -> None:
    answer = shared.get(f"{run}/{name}")
    assert answer.content.startswith(PICTURE)
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-disposition"].startswith("inline")
    # A later evaluation may draw another one.
    assert answer.headers["cache-control"] == "no-cache"
    head = shared.client.head(f"{run}/{name}")
    assert head.status_code == 200 and head.content == b""


def test_what_a_run_has_not_left_yet_is_not_found(service: Service) -> None:
    path = f"/v1/runs/{service.run_of(service.post())}"
    assert "codes.npz" in problem(service.get(f"{path}/codes.npz"), 404)["detail"]
    assert service.json(f"{path}/scores") == {"items": [], "next_cursor": None, "advice": []}
    assert service.json(f"{path}/scalars") == {}
    assert service.json(f"{path}/artifacts") == {"items": [], "next_cursor": None}


def test_odd_scores_come_with_the_reasons_that_the_curves_tell(service: Service) -> None:
    path = f"/v1/runs/{service.run_of(service.post())}"
    taken = service.take()
    points = {"kl_per_latent/0": [(1, 3.0)], "kl_per_latent/1": [(1, 0.002)]}
    beat(service.database, taken, lease_seconds=60, progress=None, points=points)
    finish_training(service.database, taken, record=RECORD)
    service.evaluate()
    unused, mean = service.json(f"{path}/scores")["advice"]
    assert "1 of 2 latents are unused (z1)" in unused["reason"] and unused["suggestion"]
    assert "z1 is unused" in mean["reason"] and "still follows factor_1" in mean["reason"]


def walk(service: Service, path: str) -> list[list[str]]:
    """The ids on each page, following both next_cursor and Link."""
    pages: list[list[str]] = []
    while True:
        answer = service.get(path)
        assert answer.status_code == 200
        page: dict[str, Any] = answer.json()
        pages.append([item["id"] for item in page["items"]])
        if page["next_cursor"] is None:
            assert "link" not in answer.headers
            return pages
        path = answer.links["next"]["url"]
        assert page["next_cursor"] in path.replace("%3D", "=")


def test_lists_go_page_by_page_to_the_end(service_on_each: Service) -> None:
    posted = [service_on_each.post({**SPEC, "seed": seed})["id"] for seed in range(5)]
    newest_first = posted[::-1]
    assert walk(service_on_each, "/v1/experiments?limit=2") == [
        newest_first[:2],
        newest_first[2:4],
        newest_first[4:],
    ]
    assert [len(page) for page in walk(service_on_each, "/v1/runs?limit=5")] == [5]


def test_the_next_page_keeps_the_filters(service: Service) -> None:
    experiment = service.post({**SPEC, "sweep": {"seed": [0, 1, 2]}})
    service.post({**SPEC, "objective": "vae"})
    pages = walk(service, f"/v1/runs?limit=2&objective=beta_vae&experiment={experiment['id']}")
    assert [len(page) for page in pages] == [2, 1]


def test_an_experiment_in_a_list_has_counts_but_no_runs(service: Service) -> None:
    service.post()
    [item] = service.json("/v1/experiments")["items"]
    assert item["counts"] == {"queued": 1} and item["runs"] is None


@pytest.fixture(scope="module")
def filtered(shared: Service, run: str) -> Service:
    """With a second experiment beside the finished run: a waiting run with a tag that is odd."""
    shared.post({**SPEC, "objective": "vae", "name": "two", "tags": ['"%_ü']})
    return shared


@pytest.mark.parametrize(
    ("query", "objectives"),
    [
        ("", ["vae", "beta_vae"]),
        ("state=queued", ["vae"]),
        ("state=succeeded", ["beta_vae"]),
        ("state=failed", []),
        ("dataset=digits", ["vae", "beta_vae"]),
        ("dataset=dsprites", []),
        ("objective=vae", ["vae"]),
        ("tag=demo", ["beta_vae"]),
        ("tag=%22%25_%C3%BC", ["vae"]),
        ("tag=%25", []),
        ("tag=demo&objective=vae", []),
        ("experiment=exp_none", []),
    ],
)
def test_filters_choose_runs(filtered: Service, query: str, objectives: list[str]) -> None:
    found = filtered.json(f"/v1/runs?{query}")["items"]
    assert [one["objective"] for one in found] == objectives


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("name=TW", ["two"]),
        ("tag=demo&owner=local", ["one"]),
        ("state=queued", ["two"]),
        ("dataset=digits&objective=beta_vae", ["one"]),
        ("since=2020-01-01T00:00:00Z", ["two", "one"]),
        ("until=2020-01-01T01:00:00%2B01:00", []),
    ],
)
def test_filters_choose_experiments(filtered: Service, query: str, names: list[str]) -> None:
    found = filtered.json(f"/v1/experiments?{query}")["items"]
    assert [one["name"] for one in found] == names


@pytest.mark.parametrize("query", ["since=yesterday", "until=2020-01-01T00:00:00", "state=done"])
def test_a_filter_that_cannot_be_meant_is_named(filtered: Service, query: str) -> None:
    [error] = problem(filtered.get(f"/v1/experiments?{query}"), 422)["errors"]
    assert error["path"] == query.partition("=")[0]


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """Every statement that is sent to a database."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    yield sent
    event.remove(Engine, "before_cursor_execute", note)


@pytest.mark.parametrize("resource", ["runs", "experiments"])
def test_a_longer_list_takes_no_more_queries(
    service: Service, statements: list[str], resource: str
) -> None:
    for seed in range(6):
        service.post({**SPEC, "sweep": {"seed": [seed, seed + 10]}})
    counts = []
    service.json(f"/v1/{resource}")  # What waits is worked out once for a while.
    for limit in (1, 6):
        statements.clear()
        assert len(service.json(f"/v1/{resource}?limit={limit}")["items"]) == limit
        counts.append(len(statements))
    assert counts[0] == counts[1]


def test_runs_in_a_list_tell_their_places(service: Service) -> None:
    service.post()
    [item] = service.json(f"/v1/runs?state={RunState.QUEUED}")["items"]
    assert item["waiting"] == {
        "reason": "waits: no training worker is there; it is next",
        "position": 1,
        "starts_in_seconds": None,
    }


def test_scores_are_told_without_the_curves_that_explain_them(service: Service) -> None:
    run_id = service.run_of(service.post(SPEC))
    sha256, size = service.objects.put(b"{}")
    curves = NewArtifact(CURVES, sha256, "application/json", size)
    finish_training(service.database, service.take(), record=RECORD, artifacts=[curves])
    service.evaluate()
    whole = service.json(f"/v1/runs/{run_id}/scores")
    for damage in (partial(Path.write_bytes, data=b"[]"), Path.unlink):
        damage(service.objects.path(sha256))
        assert service.get(f"/v1/runs/{run_id}/scalars").status_code in (404, 500)
        assert service.json(f"/v1/runs/{run_id}/scores")["items"] == whole["items"]
