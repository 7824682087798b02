from __future__ import annotations

import shutil
import socket
import threading
from pathlib import Path

import pytest
from celery import Celery
from kombu import Connection

from tests.api.service import SPEC, Service, problem, serving

NOBODY = "127.0.0.1:1"
"""Connections to this port are refused."""


def test_the_process_answers(shared: Service) -> None:
    assert shared.json("/healthz") == {"status": "ok"}


def test_a_service_is_ready_with_its_database(service_on_each: Service) -> None:
    answer = service_on_each.get("/readyz")
    assert answer.status_code == 200 and answer.json()["database"] == "ok"


def test_without_its_database_a_service_lives_but_is_not_ready(tmp_path: Path) -> None:
    with serving(tmp_path, database_url=f"postgresql://{NOBODY}/heddle") as service:
        assert service.json("/healthz") == {"status": "ok"}
        answer = service.get("/readyz")
        assert answer.status_code == 503 and answer.json()["database"] == "unreachable"
        for refused, advice in (
            (service.get("/v1/runs"), "at the moment. Try again"),
            (service.send(b'{"dataset": "digits", "objective": "vae"}'), "may be done or not"),
        ):
            detail = problem(refused, 503)["detail"]
            assert "database" in detail and advice in detail
            assert int(refused.headers["retry-after"]) > 0


@pytest.mark.parametrize("broker", [f"redis://{NOBODY}/0", "redis+socket:///nowhere.sock"])
def test_without_its_broker_work_is_taken_all_the_same(
    tmp_path: Path, sqlite_schema: Path, broker: str
) -> None:
    shutil.copy(sqlite_schema, tmp_path / "heddle.db")
    with serving(tmp_path, broker_url=broker) as service:
        assert service.post()["state"] == "queued"
        ready = service.get("/readyz")
        assert ready.status_code == 200
        assert ready.json() == {"database": "ok", "broker": "unreachable", "storage": "ok"}


def test_a_broker_that_hangs_holds_no_request_up(
    tmp_path: Path, sqlite_schema: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(sqlite_schema, tmp_path / "heddle.db")
    # It takes connections and never says a word.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        broker = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        with serving(tmp_path, broker_url=broker) as service:
            assert service.json("/readyz")["broker"] == "unreachable"
            sending, over = threading.Event(), threading.Event()

            def hangs(*_: object, **__: object) -> None:
                sending.set()
                over.wait()

            monkeypatch.setattr(Celery, "send_task", hangs)
            service.post()
            assert sending.wait(120)
            # Were they to wait for it, they would for ever.
            for seed in range(10):
                service.post({**SPEC, "seed": seed})
            over.set()


def test_a_post_tells_the_workers_of_both_queues(tmp_path: Path, sqlite_schema: Path) -> None:
    shutil.copy(sqlite_schema, tmp_path / "heddle.db")
    with serving(tmp_path, broker_url="memory://") as service, Connection("memory://") as broker:
        assert service.json("/readyz") == {"database": "ok", "broker": "ok", "storage": "ok"}
        experiment = service.post()
        for queue in ("train", "evaluate"):
            message = broker.SimpleQueue(queue).get(timeout=120)
            message.ack()
            assert message.headers["task"] == f"heddle.{queue}"
            assert message.payload[:2] == [[], {}]
            assert experiment["id"] not in str(message.headers)


def test_browsers_are_sent_to_the_documentation(shared: Service) -> None:
    answer = shared.get("/")
    assert answer.status_code == 307 and answer.headers["location"] == "/docs"
    assert shared.get("/docs").status_code == 200
