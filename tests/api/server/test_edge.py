"""What is the same for every request: its id, its line in the log, one traceback for one fault."""

from __future__ import annotations

import json
import logging
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.server import connections, open_files
from api.server.connections import OutOfFiles, bounded
from api.server.service_log import LONGEST_MESSAGE, Lines, log_to_stderr, request_id
from store.settings import Settings
from tests.api.served import served
from tests.api.service import Service, problem

PATIENCE = 20.0


@pytest.fixture
def running(service: Service, tmp_path: Path) -> Iterator[str]:
    """The URL of another server on the service's stores."""
    with served(Settings(home=tmp_path)) as url:
        yield url


def broken(*_: object, **__: object) -> None:
    raise ZeroDivisionError("an unexpected\nerror")


def test_every_answer_has_the_id_of_its_request(shared: Service) -> None:
    for path in ("/healthz", "/v1/runs", "/v1/runs/run_x", "/v1/nothing"):
        assert re.fullmatch("[0-9a-f]{16}", shared.get(path).headers["x-request-id"])
    ids = {shared.get("/healthz").headers["x-request-id"] for _ in range(5)}
    assert len(ids) == 5
    given = {"X-Request-Id": "lab-7.step_3"}
    assert shared.get("/v1/runs", **given).headers["x-request-id"] == "lab-7.step_3"
    refused = shared.get("/healthz", host="example.org", **given)
    assert refused.status_code == 421 and refused.headers["x-request-id"] == "lab-7.step_3"


@pytest.mark.parametrize("id", ["", "a b", "x" * 65, "a;b", "<script>"])
def test_an_id_that_is_no_name_is_not_taken(shared: Service, id: str) -> None:
    assert re.fullmatch(
        "[0-9a-f]{16}", shared.get("/healthz", **{"X-Request-Id": id}).headers["x-request-id"]
    )


def test_a_fault_of_ours_leaves_one_traceback_and_names_its_request(
    running: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("store.queries.run", broken)
    with caplog.at_level(logging.INFO):
        answer = httpx.get(f"{running}/v1/runs/run_x", headers={"X-Request-Id": "a-1"})
    assert "request a-1" in problem(answer, 500)["detail"]
    told = [record for record in caplog.records if record.exc_info]
    assert [record.getMessage() for record in told] == ["unexpected error at /v1/runs/run_x"]


def test_a_database_that_is_away_leaves_no_traceback(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with served(Settings(home=tmp_path, database_url="postgresql://127.0.0.1:1/heddle")) as url:
        problem(httpx.get(f"{url}/v1/runs", timeout=PATIENCE), 503)
    assert [r.getMessage()[:12] for r in caplog.records if r.levelname == "ERROR"] == [
        "the database"
    ]
    assert not [record for record in caplog.records if record.exc_info]


def test_the_end_of_the_service_is_no_fault_of_its_streams(
    service: Service, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with served(Settings(home=tmp_path)) as url:
        streams = [httpx.stream("GET", f"{url}/v1/events", timeout=PATIENCE) for _ in range(3)]
        opened = [stream.__enter__() for stream in streams]
    assert not [record for record in caplog.records if record.exc_info]
    for stream in opened:
        # Each ends as it should: one that is cut off raises.
        stream.read()
        stream.close()


def test_a_request_is_a_line_of_the_log_and_not_a_long_one(
    shared: Service, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "api.server.edge"):
        for path in ("/healthz", "/readyz", "/v1/runs?limit=2", f"/v1/runs?tag={'x' * 5000}"):
            shared.get(path)
    # Those who ask whether it lives do so all the time.
    short, long = (record.getMessage() for record in caplog.records)
    assert re.fullmatch(r"GET /v1/runs\?limit=2 200 \d+\.\d{3} s", short)
    assert len(long) < 250 and "xxx… 200" in long


def test_a_line_has_time_level_and_request_and_what_follows_is_indented() -> None:
    lines = Lines()
    record = logging.LogRecord("api.x", logging.WARNING, "", 0, "no\nway %s", ("out",), None)
    record.created = 0.5
    assert lines.format(record) == "1970-01-01T00:00:00.500Z WARNING api.x - no\n    way out"
    token = request_id.set("a-1")
    try:
        assert " api.x a-1 no\n" in lines.format(record)
    finally:
        request_id.reset(token)
    record.msg, record.args = "x" * 10**6, ()
    assert len(lines.format(record)) < LONGEST_MESSAGE + 200
    assert f"{10**6 - LONGEST_MESSAGE:,} characters" in lines.format(record)


def test_a_request_is_named_where_it_is_worked_on(
    shared: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    monkeypatch.setattr("store.queries.run", lambda *_: seen.append(request_id.get()))
    shared.get("/v1/runs/run_x", **{"X-Request-Id": "a-2"})
    assert seen == ["a-2"]
    assert request_id.get() == "-"


def test_a_process_of_its_own_writes_its_log_to_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", root.handlers[:])
    monkeypatch.setattr(root, "level", root.level)
    log_to_stderr()
    logging.captureWarnings(capture=False)
    logging.getLogger("uvicorn.error").info("begins")
    assert re.fullmatch(r"\S+Z INFO uvicorn\.error - begins\n", capsys.readouterr().err)


def gone(one: socket.socket) -> bool:
    """Whether the other end of a connection has closed it."""
    try:
        return one.recv(1) == b""
    except ConnectionResetError:
        return True


def test_idle_connections_make_room(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "IDLE_SECONDS", -1.0)
    monkeypatch.setattr(connections, "FIRST_REQUEST_SECONDS", 1000.0)
    with served(Settings(home=tmp_path), http=bounded(2, 0)) as url:
        address = ("127.0.0.1", int(url.rpartition(":")[2]))
        idle = [socket.create_connection(address, timeout=PATIENCE) for _ in range(2)]
        for _ in range(3):
            assert httpx.get(f"{url}/healthz").status_code == 200
        # The one that was idle for longest was let go.
        assert gone(idle[0])
        for one in idle:
            one.close()


def test_a_connection_beyond_all_that_are_in_use_is_told_to_come_back(
    service: Service, tmp_path: Path
) -> None:
    with served(Settings(home=tmp_path), http=bounded(2, 0)) as url:
        address = ("127.0.0.1", int(url.rpartition(":")[2]))
        streams = [httpx.stream("GET", f"{url}/v1/events", timeout=PATIENCE) for _ in range(2)]
        for stream in streams:
            stream.__enter__()
        with socket.create_connection(address, timeout=PATIENCE) as one:
            told = b""
            while part := one.recv(65536):
                told += part
        head, _, body = told.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503") and b"Retry-After" in head
        assert "2 connections" in json.loads(body)["detail"]
        for stream in streams:
            stream.__exit__(None, None, None)


def test_who_connects_and_says_nothing_is_let_go(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "FIRST_REQUEST_SECONDS", 0.01)
    with served(Settings(home=tmp_path), http=bounded(10, 0)) as url:
        address = ("127.0.0.1", int(url.rpartition(":")[2]))
        with socket.create_connection(address, timeout=PATIENCE) as one:
            assert gone(one)


def test_no_file_for_a_connection_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    class Loop:
        passed_on: list[dict[str, Any]] = []

        def default_exception_handler(self, told: dict[str, Any]) -> None:
            self.passed_on.append(told)

    handler, loop = OutOfFiles(), Loop()
    for _ in range(2000):
        handler(loop, {"exception": OSError(24, "Too many open files")})  # type: ignore[arg-type]
    assert [r.getMessage() for r in caplog.records] == [
        "no connections can be taken: [Errno 24] Too many open files (ulimit -n)"
    ]
    other = {"exception": ValueError(), "message": "x"}
    handler(loop, other)  # type: ignore[arg-type]
    assert loop.passed_on == [other]


@pytest.mark.parametrize(
    ("files", "most", "more", "held"),
    [(64, 32, 16, 1), (512, 256, 128, 192), (1024, 704, 128, 528), (20000, 19680, 128, 14760)],
)
def test_connections_leave_files_to_all_else(
    files: int, most: int, more: int, held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_files.resource, "getrlimit", lambda _: (files, files))
    assert (open_files.most_connections(), open_files.slack()) == (most, more)
    assert open_files.most_held() == held


def test_the_limit_of_files_is_raised_to_what_the_system_gives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(open_files.resource, "setrlimit", lambda _, limits: asked.append(limits))
    for soft, hard in ((1024, 4096), (4096, 4096), (1024, -1), (1024, 10**6)):
        monkeypatch.setattr(open_files.resource, "getrlimit", lambda _, s=soft, h=hard: (s, h))
        open_files.raise_limit()
    assert asked == [(4096, 4096), (65536, -1), (65536, 10**6)]
