"""The page of the contract says what the service, the client and the command line have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from api.main import app
from heddle.cli.main import main

PAGE = (Path(__file__).parent.parent.parent / "docs" / "contract.md").read_text(encoding="utf-8")
DOCUMENTS = dict(re.findall(r"^\| `([A-Z]\w+)` \| (.+) \|$", PAGE, re.MULTILINE))


@pytest.fixture(scope="module")
def openapi() -> Any:
    return app.openapi()


def test_every_route_is_named(openapi: Any) -> None:
    named = re.findall(r"`((?:GET|POST|PATCH|DELETE) /\S+)`", PAGE)
    served = [
        f"{method.upper()} {path}"
        for path, operations in openapi["paths"].items()
        for method in operations
        if method != "head"
    ]
    assert sorted(named) == sorted(served)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_field_of_a_document_is_named(openapi: Any, name: str) -> None:
    fields = re.findall(r"`(\w+)`", DOCUMENTS[name])
    assert fields == list(openapi["components"]["schemas"][name]["properties"])


def test_every_command_is_named() -> None:
    [listed] = re.findall(r"^```text\n(.+?)\n```$", PAGE, re.MULTILINE | re.DOTALL)
    assert listed.split() == sorted(main.commands)
