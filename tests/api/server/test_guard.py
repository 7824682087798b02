from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from api.main import create_app
from store.settings import Settings
from tests.api.service import SPEC, Service, problem


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.1:8000", "localhost", "localhost:8000", "LocalHost:8000", "[::1]",
     "[::1]:8000", "heddle.localhost:8000", "127.8.9.1"],
)  # fmt: skip
def test_names_of_this_machine_are_served(shared: Service, host: str) -> None:
    assert shared.get("/healthz", host=host).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["example.org", "127.0.0.1.example.org", "localhost.example.org", "192.168.0.5:8000",
     "0.0.0.0:8000", "[::2]", "[", "", "notlocalhost", "2130706433.nip.io"],
)  # fmt: skip
def test_a_name_that_was_rebound_to_loopback_is_misdirected(shared: Service, host: str) -> None:
    assert repr(host) in problem(shared.get("/healthz", host=host), 421)["detail"]


@pytest.mark.parametrize(
    "origin",
    ["http://127.0.0.1:8000", "http://localhost", "https://localhost:5173", "http://[::1]:8000"],
)
def test_pages_of_this_machine_may_post(service: Service, origin: str) -> None:
    answer = service.client.post("/v1/experiments", json=SPEC, headers={"origin": origin})
    assert answer.status_code == 202


@pytest.mark.parametrize(
    "origin",
    ["null", "https://example.org", "http://127.0.0.1.example.org", "http://localhost.example.org",
     "file://", "", "http://[", "http://localhost@example.org"],
)  # fmt: skip
def test_pages_of_other_sites_may_not(shared: Service, origin: str) -> None:
    for path in ("/v1/experiments", "/v1/runs/x/cancel"):
        answer = shared.client.post(path, json=SPEC, headers={"origin": origin})
        assert repr(origin) in problem(answer, 403)["detail"]
    problem(shared.get("/v1/experiments", origin=origin), 403)
    assert shared.json("/v1/experiments")["items"] == []


def test_no_page_is_told_that_it_may_read_answers(shared: Service) -> None:
    answer = shared.get("/healthz", origin="http://localhost:5173")
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_service_on_a_network_answers_to_its_name(tmp_path: Path) -> None:
    app = create_app(Settings(home=tmp_path), host="0.0.0.0")
    with TestClient(app, base_url="http://gpu.lab:8000") as client:
        assert client.get("/healthz").status_code == 200
