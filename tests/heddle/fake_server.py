"""A server that answers as CONTRACT says, inside the client's own transport."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from heddle.client import client as client_module
from heddle.client import connection
from heddle.client.client import Client

Answer = Callable[[httpx.Request], httpx.Response]
EXPERIMENT = "exp_01"


class Broken(httpx.SyncByteStream):
    """A body that stops in the middle, as a lost connection does."""

    def __init__(self, content: bytes, at: int) -> None:
        self._content = content
        self._at = at

    def __iter__(self) -> Iterator[bytes]:
        yield self._content[: self._at]
        raise httpx.ReadError("connection reset")


class FakeServer:
    """One experiment of two runs; a test sets its documents, and reads the requests it got."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        #: Answers given in place of the usual ones, first come first served.
        self.instead: list[Answer] = []
        self.runs: dict[str, dict[str, Any]] = {
            "run_a": {"id": "run_a", "state": "succeeded", "error": None, "attempts": 1},
            "run_b": {"id": "run_b", "state": "succeeded", "error": None, "attempts": 1},
        }
        self.swept = {"run_a": {"objective.beta": 1}, "run_b": {"objective.beta": 4}}
        self.state = "succeeded"
        self.files = {"curves.json": b'{"loss": [1, 2]}', "plots/recon.png": bytes(range(256)) * 40}

    @property
    def paths(self) -> list[str]:
        return [request.url.path for request in self.requests]

    def experiment(self) -> dict[str, Any]:
        runs = [
            {"id": id, "index": i, "swept": self.swept[id], "state": run["state"], "reused": False}
            for i, (id, run) in enumerate(self.runs.items())
        ]
        return {"id": EXPERIMENT, "name": "sweep", "state": self.state, "runs": runs, "links": {}}

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.instead:
            return self.instead.pop(0)(request)
        path = request.url.raw_path.decode().partition("?")[0]
        parts = path.strip("/").split("/")[1:]
        if parts[0] == "experiments":
            return httpx.Response(200 if request.method == "GET" else 202, json=self.experiment())
        if parts[0] == "evaluations":
            if parts[-1] == "scores":
                return self._page(SCORES, request)
            document = {"id": parts[1], "state": "succeeded", "error": None}
            return httpx.Response(200 if request.method == "GET" else 202, json=document)
        if parts == ["runs"]:
            return self._page(
                [run for run in self.runs.values() if run["state"] == request.url.params["state"]],
                request,
            )
        if parts[0] == "runs" and parts[1] in self.runs:
            return self._of_run(parts[1], parts[2:], request)
        if parts[0] == "artifacts":
            return self._artifact(parts[1], request)
        return problem(404, "Not Found", f"There is no {path}")

    def _of_run(self, run_id: str, rest: list[str], request: httpx.Request) -> httpx.Response:
        if rest == ["scores"]:
            page = self._page(SCORES, request).json()
            return httpx.Response(200, json={**page, "advice": [ADVICE]})
        if rest == ["scalars"]:
            return httpx.Response(200, json={"loss": [[0, 400.5], [10, None]]})
        if rest == ["artifacts"]:
            return self._page([listed(name, data) for name, data in self.files.items()], request)
        if rest and rest[0].startswith("traversal"):
            return httpx.Response(200, content=b"a picture")
        return httpx.Response(200, json=self.runs[run_id])

    def _artifact(self, digest: str, request: httpx.Request) -> httpx.Response:
        (data,) = [data for data in self.files.values() if sha256(data) == digest]
        if "Range" in request.headers:
            start = int(request.headers["Range"].removeprefix("bytes=").rstrip("-"))
            return httpx.Response(206, content=data[start:])
        return httpx.Response(200, content=data)

    def _page(self, items: list[Any], request: httpx.Request) -> httpx.Response:
        """Pages of one item, so that whoever forgets the cursor is found out."""
        start = int(request.url.params.get("cursor", 0))
        more = str(start + 1) if start + 1 < len(items) else None
        return httpx.Response(200, json={"items": items[start : start + 1], "next_cursor": more})


ADVICE = {"about": "mig", "reason": "mig lies inside its null", "suggestion": "train [more]"}
SCORES = [
    {
        "metric": "mig",
        "name": "mig",
        "value": 0.12345,
        "ci95": [0.1, 0.15],
        "null": {"mean": 0.01, "std": 0.002, "replicates": 3},
    },
    {"metric": "dci", "name": "disentanglement", "value": None, "error": "ConstantFactor: shape"},
]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def listed(name: str, data: bytes) -> dict[str, Any]:
    return {"name": name, "sha256": sha256(data), "media_type": "x/y", "bytes": len(data)}


def problem(
    status: int, title: str, detail: str | None = None, errors: list[Any] | None = None
) -> httpx.Response:
    document = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return httpx.Response(
        status,
        content=json.dumps(document | {"errors": errors or []}),
        headers={"Content-Type": "application/problem+json"},
    )


def connect_to(answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every command a client that is answered by this function."""
    transport = httpx.MockTransport(answer)
    monkeypatch.setattr(connection, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(
        client_module, "Client", lambda *_, **__: Client("http://heddle.test", transport=transport)
    )
