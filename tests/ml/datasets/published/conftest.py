"""An empty data folder for each test, into which it writes small files of the true form."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder."""
    monkeypatch.setenv("HEDDLE_DATA", str(tmp_path))
    return tmp_path
