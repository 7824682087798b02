"""No text makes the service fail, wherever it is sent: path, query, header or body."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.api.service import SPEC, Service

HOSTILE = [
    "\x00", "a\x00b", "\ud800", "\U0001f9f5", "%00", "'; --", "a" * 3000, "9" * 400, "-1", "1e400",
    "NaN", str(2**63), str(2**64), "10000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999-14:00",
    "0001-01-01T00:00:00+14:00", "[[[[", "{", "\x7f", "\u202e", "null", "true", "../../x", "*",
    "a=\x00", 'seed="\\u0000"', 'seed="\\ud800"', "seed=" + "[" * 5000, "seed=1e308",
    f"seed={10**30}", 'a.b="\\"', "bytes=0-,1-", "==", "cnVuXzAw", "\n", " ",
]  # fmt: skip


def bodies(text: str) -> list[Any]:
    """What JSON the routes take, with a text in one place of it."""
    return [
        text,
        [text],
        {text: text},
        {"name": text},
        {"notes": text},
        {"tags": [text]},
        {"latent_names": {"0": text}},
        {"changes": {text: text}},
        {"changes": {"objective.beta": text}, "steps": 10**5},
        {"changes": {"name": text}, "steps": 10**6},
        {"index": [text]},
        {"latents": [[text]]},
        {"a": 0, "b": 1, "factor": text},
        {"metrics": [text]},
        SPEC | {"name": text},
        SPEC | {"sweep": {text: [text]}},
        SPEC | {"origin": {text: text}},
        SPEC | {"dataset": {"name": "dsprites", "path": text}},
    ]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_text_makes_the_service_fail(service_on_each: Service) -> None:
    experiment = service_on_each.post()
    service_on_each.finish()
    run = service_on_each.run_of(experiment)
    [evaluation] = service_on_each.json(f"/v1/runs/{run}/evaluations")["items"]
    ids = {"runs": run, "experiments": experiment["id"], "evaluations": evaluation["id"]}
    failed: list[str] = []

    def ask(method: str, path: str, **what: Any) -> None:
        try:
            answer = service_on_each.client.request(method, path, timeout=60, **what)
        except httpx.InvalidURL:
            return
        if answer.status_code >= 500:
            failed.append(f"{method} {path[:200]} {str(what)[:200]}: {answer.status_code}")

    for path, operations in service_on_each.json("/openapi.json")["paths"].items():
        known = {"name": "digits", "plot": "curves", "sha256": "0" * 64}
        known["id"] = ids.get(path.split("/")[2] if path.startswith("/v1/") else "", "x")
        # A stream has no end, and what is deleted is not there for the next request.
        if path == "/v1/events":
            continue
        for method in operations.keys() & {"get", "post", "patch"}:
            operation = operations[method]
            where = path.format_map(known)
            for text in HOSTILE:
                quoted = quote(text.encode(errors="surrogatepass"), safe="")
                for parameter in operation.get("parameters", []):
                    name = parameter["name"]
                    if parameter["in"] == "path":
                        ask(method, path.format_map(known | {name: quoted}))
                    elif parameter["in"] == "query":
                        ask(method, f"{where}?{name}={quoted}")
                    elif re.fullmatch(r"[ -~]+", text):
                        ask(method, where, headers={name: text})
                if "requestBody" in operation:
                    for body in bodies(text):
                        headers = {"content-type": "application/json"}
                        ask(method, where, content=json.dumps(body).encode(), headers=headers)
    assert not failed
