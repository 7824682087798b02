"""The stream of events over real HTTP, and long polling."""

from __future__ import annotations

import itertools
import json
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.state import event_hub
from store.database.connection import Database
from store.experiments.cancel import cancel_experiment
from store.jobs.events import emit
from store.retention.delete import delete_experiment
from store.settings import Settings
from tests.api.served import served
from tests.api.service import SPEC, Service, problem
from tests.heddle.fake_programs import PATIENCE, until
from tests.store.lab import Lab


def read(
    url: str, *, last: int | None = None, experiment: str | None = None, most: int = 10**9
) -> Iterator[dict[str, Any]]:
    """Events from one connection, for as long as it lasts."""
    params = {} if experiment is None else {"experiment": experiment}
    headers = {} if last is None else {"Last-Event-ID": str(last)}
    event: dict[str, str] = {}
    with httpx.stream(
        "GET", f"{url}/v1/events", params=params, headers=headers, timeout=PATIENCE
    ) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            if name:
                event[name] = value
            elif line == "" and "data" in event:
                document = json.loads(event.pop("data"))
                assert event["id"] == str(document["position"])
                assert event["event"] == document["type"]
                yield document
                most -= 1
                if not most:
                    return


class Subscriber:
    """Reads the stream, and is cut off again and again."""

    def __init__(self, where: Callable[[], str], experiment: str | None, seed: int) -> None:
        self._where, self.experiment, self._random = where, experiment, random.Random(seed)
        self.found: list[dict[str, Any]] = []

    def read_until(self, ends: int) -> None:
        """Until it has seen so many events that say that there are no more."""
        while ends:
            last = self.found[-1]["position"] if self.found else 0
            most = self._random.randint(1, 12)
            try:
                for event in read(self._where(), last=last, experiment=self.experiment, most=most):
                    self.found.append(event)
                    ends -= event["type"] == "end"
                    if not ends:
                        return
            except httpx.TransportError:
                time.sleep(0.05)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_every_subscriber_sees_every_event_once_and_in_order(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    # So that subscribers look while transactions are on their way.
    monkeypatch.setattr(event_hub, "LOOK_SECONDS", 0.01)
    database = Database(database_url)
    ids = [Lab(database).post(f"run {number}") for number in range(8)]
    settings = Settings(home=tmp_path, database_url=database_url)
    committed: list[tuple[str, str]] = []
    url = [""]

    def write(number: int) -> None:
        chance = random.Random(f"{seed} {number}")
        for count in range(15):
            chosen = chance.sample(ids, chance.randint(1, 2))
            name = f"{number}.{count}"
            try:
                with database.write() as session:
                    time.sleep(chance.random() * 0.02)
                    emit(session, chosen, "note", {"name": name})
                    # Long after its number was given, and before others can see it.
                    time.sleep(chance.random() * 0.06)
                    if chance.random() < 0.2:
                        raise ZeroDivisionError
            except ZeroDivisionError:
                continue
            committed.extend((id, name) for id in chosen)

    subscribers = [
        Subscriber(lambda: url[0], experiment, 10 * seed + number)
        for number, experiment in enumerate([None, None, *ids[:3]])
    ]
    with ThreadPoolExecutor(16) as pool:
        with served(settings) as url[0]:
            watching = [
                pool.submit(one.read_until, len(ids) if one.experiment is None else 1)
                for one in subscribers
            ]
            writing = [pool.submit(write, number) for number in range(6)]
            time.sleep(0.5)
        # The service ends in the midst of it, and another takes its place.
        with served(settings) as url[0]:
            for task in writing:
                task.result()
            with database.write() as session:
                emit(session, ids, "end", {"name": ""})
            committed.extend((id, "") for id in ids)
            for task in watching:
                task.result(timeout=PATIENCE)
    database.dispose()
    assert len(committed) > 50
    for one in subscribers:
        expected = [what for what in committed if one.experiment in (None, what[0])]
        seen = [(event["experiment"], event["data"]["name"]) for event in one.found]
        assert sorted(seen) == sorted(expected)
        positions = [event["position"] for event in one.found]
        assert positions == sorted(set(positions))
        for id in ids:
            numbers = [event["number"] for event in one.found if event["experiment"] == id]
            assert numbers in ([], list(range(1, len(numbers) + 1)))


@pytest.fixture
def running(service: Service, tmp_path: Path) -> Iterator[str]:
    """The URL of another server on the service's stores."""
    with served(Settings(home=tmp_path)) as url:
        yield url


def test_a_run_is_followed_from_its_first_event_to_its_last(service: Service, running: str) -> None:
    experiment = service.post()
    service.finish()
    found = list(read(running, experiment=experiment["id"], most=3))
    assert [event["type"] for event in found] == ["run.training", "run.evaluating", "run.succeeded"]
    assert [event["number"] for event in found] == [1, 2, 3]
    assert found[0]["data"] == {"run_id": service.run_of(experiment), "state": "training"}
    [rest] = read(running, last=found[1]["position"], most=1)
    assert rest == found[2]


def test_all_events_come_from_now_on(service: Service, running: str) -> None:
    before = service.post()
    service.finish()
    with ThreadPoolExecutor(1) as pool:
        news = pool.submit(lambda: next(read(running)))
        # Again and again, as nobody knows when it has begun to listen.
        for seed in itertools.count(1):
            service.post({**SPEC, "seed": seed})
            service.take()
            if wait([news], timeout=0.2).done:
                break
    assert news.result()["type"] == "run.training"
    assert news.result()["experiment"] != before["id"]


def test_the_stream_of_a_deleted_experiment_ends(service: Service, running: str) -> None:
    id = service.post()["id"]
    seen: list[str] = []
    with ThreadPoolExecutor(1) as pool:
        whole = pool.submit(
            lambda: seen.extend(event["type"] for event in read(running, experiment=id))
        )
        cancel_experiment(service.database, id)
        until(lambda: seen)
        delete_experiment(service.database, id)
        # Something must happen for it to be noticed before the next sign of life.
        service.post({**SPEC, "seed": 1})
        service.take()
        whole.result(timeout=PATIENCE)
    assert seen == ["run.cancelled"]


def test_waiting_streams_hold_no_threads(service: Service, running: str) -> None:
    id = service.post()["id"]
    with ThreadPoolExecutor(60) as pool:
        waiting = [pool.submit(lambda: next(read(running, experiment=id))) for _ in range(60)]
        time.sleep(1.0)
        # More than there are threads for routes, and the service still answers.
        assert httpx.get(f"{running}/v1/experiments/{id}", timeout=PATIENCE).is_success
        service.take()
        assert {one.result(timeout=PATIENCE)["type"] for one in waiting} == {"run.training"}


def test_what_cannot_be_streamed_is_refused(service: Service) -> None:
    problem(service.get("/v1/events?experiment=exp_x"), 404)
    for wrong in ("-1", "x", str(2**63)):
        [error] = problem(service.get("/v1/events", **{"Last-Event-ID": wrong}), 422)["errors"]
        assert error["path"] == "Last-Event-ID"
        problem(service.get(f"/v1/events?after={wrong}"), 422)


def test_an_answer_waits_until_the_work_has_ended(service: Service, running: str) -> None:
    experiment = service.post()
    run_id = service.run_of(experiment)
    paths = [f"/v1/runs/{run_id}", f"/v1/experiments/{experiment['id']}"]
    began = time.monotonic()
    assert httpx.get(f"{running}{paths[0]}?wait=0.5", timeout=PATIENCE).json()["state"] == "queued"
    assert time.monotonic() - began >= 0.5
    with ThreadPoolExecutor(2) as pool:
        answers = [
            pool.submit(
                lambda path=path: httpx.get(f"{running}{path}?wait=60", timeout=PATIENCE).json()
            )
            for path in paths
        ]
        time.sleep(0.3)
        service.finish()
        assert [one.result(timeout=PATIENCE)["state"] for one in answers] == ["succeeded"] * 2
    assert service.json(f"{paths[0]}?wait=60")["state"] == "succeeded"
    for wrong in ("0", "61", "x"):
        problem(service.get(f"{paths[0]}?wait={wrong}"), 422)
    problem(service.get("/v1/runs/run_x?wait=1"), 404)
