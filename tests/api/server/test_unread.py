"""Answers that come before a body was read reach those who send first and listen then."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.server import unread
from store.settings import Settings
from tests.api.served import served
from tests.api.service import Service

PATIENCE = 20.0


@pytest.fixture
def running(service: Service, tmp_path: Path) -> Iterator[str]:
    """The URL of another server on the service's stores."""
    with served(Settings(home=tmp_path)) as url:
        yield url


def posted(url: str, body: Any, **headers: str) -> tuple[int, Any]:
    """What a client is told that sends all of its body before it listens."""
    headers = {"Content-Type": "application/json"} | headers
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_answered_also_if_the_client_listens_late(
    running: str, chunked: bool
) -> None:
    body = b" " * 20_000_000
    # urllib sends what has no length in chunks.
    status, document = posted(f"{running}/v1/experiments", iter([body]) if chunked else body)
    assert status == 413 and "1,000,000 bytes" in document["detail"]


def test_whatever_is_refused_unread_is_answered(running: str, shared: Service) -> None:
    body = b" " * 20_000_000
    form = "multipart/form-data; boundary=x"
    for path, headers, status in (
        ("/v1/nothing", {}, 404),
        ("/v1/runs", {}, 405),
        ("/v1/experiments", {"Content-Type": "text/plain"}, 415),
        ("/v1/experiments?unknown=1", {}, 422),
        ("/v1/experiments", {"Origin": "http://example.org"}, 403),
        ("/v1/evaluations", {"Content-Type": form}, 400),
    ):
        assert posted(f"{running}{path}", body, **headers)[0] == status, path


def test_no_more_is_dropped_than_is_bearable(running: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unread, "DROPPED_BYTES", 100_000)
    port = int(running.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as one:
        one.sendall(
            b"POST /v1/nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n"
        )
        answer = one.recv(65536)
        assert answer.startswith(b"HTTP/1.1 404") and b"connection: close" in answer.lower()
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            for _ in range(500):
                one.sendall(b" " * 100_000)


def test_one_who_asks_first_is_not_told_to_send(running: str) -> None:
    port = int(running.rpartition(":")[2])
    head = b"POST /v1/nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as one:
        one.sendall(head + b"Expect: 100-continue\r\n\r\n")
        told = b""
        while part := one.recv(65536):
            told += part
    assert told.startswith(b"HTTP/1.1 404") and b"100 Continue" not in told
