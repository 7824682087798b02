from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.state import readiness
from tests.api.service import Service, serving


@pytest.fixture(autouse=True)
def empty_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Operators have put no files anywhere."""
    monkeypatch.setenv("HEDDLE_DATA", str(tmp_path / "data"))


@pytest.fixture(autouse=True)
def looks_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `/readyz` tells was found at that moment."""
    monkeypatch.setattr(readiness, "OK_SECONDS", 0.0)
    monkeypatch.setattr(readiness, "TROUBLE_SECONDS", 0.0)


@pytest.fixture
def service(tmp_path: Path, sqlite_schema: Path) -> Iterator[Service]:
    """A service without experiments, on SQLite."""
    shutil.copy(sqlite_schema, tmp_path / "heddle.db")
    with serving(tmp_path) as service:
        yield service


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, sqlite_schema: Path) -> Iterator[Service]:
    """A service on SQLite for all tests of a module, which must leave it as they find it."""
    home = tmp_path_factory.mktemp("home")
    shutil.copy(sqlite_schema, home / "heddle.db")
    with serving(home) as service:
        yield service


@pytest.fixture
def service_on_each(tmp_path: Path, database_url: str) -> Iterator[Service]:
    """A service without experiments, once on each kind of database."""
    with serving(tmp_path, database_url=database_url) as service:
        yield service
