from __future__ import annotations

import pytest
from fastapi import Request

from api.http.negotiation import prefers_json


@pytest.mark.parametrize(
    ("accept", "json"),
    [
        ("", False),
        ("*/*", False),
        ("application/json", True),
        ("application/json, text/plain, */*", True),
        ("text/plain, application/json", False),
        ("text/plain;q=0.5, application/json;q=0.9", True),
        ("application/json;q=0, */*", False),
        ("application/json;q=x", False),
        ("text/html,application/xhtml+xml,*/*;q=0.8", False),
        ("image/png", False),
    ],
)
def test_json_is_given_to_who_names_it_first(accept: str, json: bool) -> None:
    request = Request({"type": "http", "headers": [(b"accept", accept.encode())]})
    assert prefers_json(request) is json
