from __future__ import annotations

from store.jobs.log import Line, add_lines
from store.states import JobKind
from tests.api.service import Service, problem


def test_a_log_is_text(service_on_each: Service) -> None:
    service = service_on_each
    run_id = service.run_of(service.post())
    taken = service.take()
    lines = [Line(0.5, "INFO", "h:1", "begins"), Line(1.0, "ERROR", "h:1", "failed\nTraceback")]
    add_lines(service.database, taken, lines)
    answer = service.get(f"/v1/runs/{run_id}/log")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text == (
        "1970-01-01T00:00:00.500Z INFO h:1 begins\n"
        "1970-01-01T00:00:01.000Z ERROR h:1 failed\n    Traceback\n"
    )
    assert service.get(f"/v1/runs/{run_id}/log?tail=1").text.startswith("1970-01-01T00:00:01")
    problem(service.get("/v1/runs/run_x/log"), 404)
    problem(service.get(f"/v1/runs/{run_id}/log?tail=0"), 422)


def test_a_log_is_json_in_pages_where_that_is_asked_for(service_on_each: Service) -> None:
    service = service_on_each
    path = f"/v1/runs/{service.run_of(service.post())}/log"
    taken = service.take()
    add_lines(
        service.database,
        taken,
        [Line(number / 4, "INFO", "h:1", f"line {number}") for number in range(5)],
    )

    def page(query: str) -> tuple[list[str], str | None]:
        answer = service.get(f"{path}{query}", accept="application/json")
        assert answer.headers["vary"] == "Accept"
        document = answer.json()
        return [item["message"] for item in document["items"]], document["next_cursor"]

    first, cursor = page("?limit=3")
    assert first == ["line 0", "line 1", "line 2"]
    assert page(f"?limit=3&cursor={cursor}") == (["line 3", "line 4"], None)
    assert page("?tail=2") == (["line 3", "line 4"], None)
    [last] = service.get(f"{path}?tail=1", accept="application/json").json()["items"]
    assert last["at"] == "1970-01-01T00:00:01Z" and last["worker"] == "h:1"
    # From the last line on one may go on reading.
    assert page(f"?cursor={last['cursor']}") == ([], None)
    add_lines(service.database, taken, [Line(2, "INFO", "h:1", "more")])
    assert page(f"?cursor={last['cursor']}") == (["more"], None)
    assert service.get(f"{path}?cursor={last['cursor']}").text.endswith(" more\n")
    for wrong in ("x", "-1", "9" * 19, "9" * 99, "²"):
        problem(service.get(f"{path}?cursor={wrong}"), 422)


def test_a_runs_log_has_its_evaluations_and_theirs_is_their_own(service: Service) -> None:
    run_id = service.run_of(service.post())
    service.finish()
    asked = service.accepted(
        service.client.post(f"/v1/runs/{run_id}/evaluations", json={"metrics": ["sap"]})
    )
    add_lines(service.database, service.take(JobKind.EVALUATE), [Line(1, "INFO", "h:1", "scores")])
    assert service.get(f"/v1/runs/{run_id}/log").text.endswith("scores\n")
    assert service.get(f"/v1/evaluations/{asked['id']}/log").text.endswith("scores\n")
    problem(service.get("/v1/evaluations/eval_x/log"), 404)
