"""Pages that are written by a program say what the program says now."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent.parent / "docs"


@pytest.mark.parametrize(
    ("page", "writer"),
    [
        ("metrics.md", "metrics_page"),
        ("objectives.md", "objectives_page"),
        ("plots.md", "plots_page"),
    ],
)
def test_written_pages_are_up_to_date(page: str, writer: str) -> None:
    written = runpy.run_path(str(DOCS / "write_catalogue.py"))[writer]()
    assert (DOCS / page).read_text(encoding="utf-8") == written, (
        "run `python docs/write_catalogue.py`"
    )
