"""Commands that look at the queue, against a service of their own."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from heddle.cli import main as cli
from heddle.client.client import Client
from store.experiments import cancel
from store.jobs import finish
from store.jobs.finish import finish_training
from store.jobs.log import Line, add_lines
from store.settings import Settings
from store.states import JobKind
from store.workers.presence import Presence, say_present
from tests.api.answers.test_events import served
from tests.api.conftest import service  # noqa: F401
from tests.api.service import SPEC, Service


@pytest.fixture
def url(service: Service, tmp_path: Path) -> Iterator[str]:  # noqa: F811
    with served(Settings(home=tmp_path)) as url:
        yield url


def heddle(url: str, *arguments: str) -> Result:
    result = CliRunner().invoke(cli.main, [*arguments, "--url", url])
    assert result.exit_code == 0, result.output
    return result


def test_the_queue_the_workers_and_logs_are_shown(service: Service, url: str) -> None:  # noqa: F811
    said = Presence("a worker", JobKind.TRAIN, "host", 7, "cpu", "x86_64", 8 << 30, 7 << 30)
    say_present(service.database, said)
    made = service.post({**SPEC, "name": "two", "sweep": {"seed": [0, 1]}})
    taken = service.take()
    add_lines(service.database, taken, [Line(0.5, "INFO", "a worker", "begins")])
    shown = heddle(url, "queue").output
    assert made["runs"][1]["id"] in shown and "it is next" in shown and "local" in shown
    assert json.loads(heddle(url, "queue", "--json").output)["items"][0]["position"] == 1
    assert str(taken.run_id) in heddle(url, "workers").output
    assert heddle(url, "log", str(taken.run_id)).output.endswith("begins\n")


def test_a_log_is_followed_until_the_work_has_ended(
    service: Service,  # noqa: F811
    url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run_id = service.run_of(service.post())
    taken = service.take()
    lines = [Line(number, "INFO", "h:1", f"line {number}") for number in range(1, 4)]
    add_lines(service.database, taken, [*lines, Line(4, "ERROR", "h:1", "failed\n  why\n")])
    looks = 0

    def meanwhile(_: float) -> None:
        nonlocal looks
        looks += 1
        add_lines(service.database, taken, [Line(5, "INFO", "h:1", f"look {looks}")])
        if looks == 2:
            cancel.cancel_run(service.database, run_id)
            finish.acknowledge_cancel(service.database, taken)

    monkeypatch.setattr("heddle.cli.queue.sleep", meanwhile)
    shown = heddle(url, "log", run_id, "--follow").output
    assert shown == service.get(f"/v1/runs/{run_id}/log").text
    assert shown.splitlines()[3:6] == [
        "1970-01-01T00:00:04.000Z ERROR h:1 failed",
        "      why",
        "1970-01-01T00:00:05.000Z INFO h:1 look 1",
    ]
    assert looks == 3
    page = json.loads(heddle(url, "log", run_id, "--tail", "1", "--json").output)
    assert [item["message"] for item in page["items"]] == ["look 3"]


def test_experiments_are_found_renamed_cloned_and_retried(
    service: Service,  # noqa: F811
    url: str,
) -> None:
    made = service.post({**SPEC, "name": "two", "sweep": {"seed": [0, 1]}})
    service.fail()
    assert made["runs"][1]["id"] in heddle(url, "find", "--swept", "seed=1").output
    heddle(url, "note", made["id"], "--notes", "figure 3", "--tag", "paper")
    assert "figure 3" in heddle(url, "find", "--experiments", "--tag", "paper").output
    retried = json.loads(heddle(url, "retry", made["id"], "--json").output)
    assert retried["counts"] == {"queued": 2}
    clone = json.loads(heddle(url, "clone", made["id"], "--set", "sweep.seed=[5]", "--json").output)
    assert [run["swept"] for run in clone["runs"]] == [{"seed": 5}]


def test_what_has_ended_is_extended_and_forked(
    service: Service,  # noqa: F811
    url: str,
) -> None:
    made = service.post({**SPEC, "training": {"steps": 100}})
    run_id = service.run_of(made)
    early = CliRunner().invoke(cli.main, ("extend", run_id, "--steps", "300", "--url", url))
    assert early.exit_code == 1 and "queued" in early.output
    service.keep_state()
    assert "200" in heddle(url, "extend", made["id"], "--steps", "300", "--dry-run").output
    assert len(service.json("/v1/experiments")["items"]) == 1
    longer = json.loads(heddle(url, "extend", made["id"], "--steps", "300", "--json").output)
    shown = heddle(url, "show", service.run_of(longer)).output
    assert f"step 100 of {run_id}" in shown
    again = ("--steps", "200", "--set", "sweep.objective.beta=[8,16]", "--priority", "3")
    fork = json.loads(heddle(url, "fork", run_id, *again, "--json").output)
    assert [run["swept"] for run in fork["runs"]] == [{"objective.beta": b} for b in (8, 16)]
    clone = heddle(url, "clone", run_id, "--set", "seed=5").output
    assert "beta_vae on" in clone


def test_the_client_follows_events_over_restarts(service: Service, tmp_path: Path) -> None:  # noqa: F811
    made = service.post()
    found: list[str] = []
    settings = Settings(home=tmp_path)
    with served(settings) as url:
        port = url.rpartition(":")[2]
        client = Client(url)

        def follow() -> None:
            for event in client.events(made["id"]):
                found.append(event["type"])
                if event["type"] == "run.succeeded":
                    return

        following = threading.Thread(target=follow, daemon=True)
        following.start()
        taken = service.take()
        assert taken.run_id == service.run_of(made)
    with served(settings, port=int(port)):
        finish_training(service.database, taken, record={})
        service.evaluate()
        following.join(timeout=120)
    assert found == ["run.training", "run.evaluating", "run.succeeded"]
