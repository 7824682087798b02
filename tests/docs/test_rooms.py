"""The drawing and the tables of the rooms are those of the contracts that hold the rooms."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

WRITER = Path(__file__).parent.parent.parent / "docs" / "write_rooms.py"


@pytest.fixture(scope="module")
def writer() -> dict[str, Any]:
    return runpy.run_path(str(WRITER))


def test_the_drawing_and_the_tables_are_up_to_date(writer: dict[str, Any]) -> None:
    for file, written in (("PICTURE", "picture"), ("PAGE", "page")):
        assert writer[file].read_text(encoding="utf-8") == writer[written](), (
            "run `python docs/write_rooms.py`"
        )


def test_every_package_with_rooms_has_a_table_of_them(writer: dict[str, Any]) -> None:
    page = writer["PAGE"].read_text(encoding="utf-8")
    for package in writer["layers"]():
        assert f"\n### `{package}/`\n\n| | |\n" in page
