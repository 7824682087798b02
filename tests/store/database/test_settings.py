from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError
from sqlalchemy import text

from store.database.connection import Database, migrate
from store.settings import Settings


def test_everything_lies_under_home_unless_it_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEDDLE_HOME", str(tmp_path))
    monkeypatch.setenv("HEDDLE_OBJECTS", str(tmp_path / "elsewhere"))
    settings = Settings()
    assert settings.database_url == f"sqlite:///{tmp_path}/heddle.db"
    assert settings.checkpoints == tmp_path / "checkpoints"
    assert settings.objects == tmp_path / "elsewhere"


def test_home_is_absolute_whatever_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HEDDLE_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    assert Settings().home == tmp_path / ".heddle"
    assert Settings().database_url == f"sqlite:///{tmp_path}/.heddle/heddle.db"


def test_a_lease_that_has_run_out_at_once_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEDDLE_LEASE_SECONDS", "0")
    with pytest.raises(ValidationError, match="lease_seconds"):
        Settings()


@pytest.mark.parametrize(
    "name", ["a?b", "a#b", "a%41b", "a b", "a?uri=true", "ä@:b", "%", "file:a"]
)
def test_a_home_of_any_name_has_its_database_in_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEDDLE_HOME", str(tmp_path / name))
    url = Settings().database_url
    migrate(url)
    database = Database(url)
    with database.read() as session:
        assert session.scalar(text("SELECT count(*) FROM runs")) == 0
    database.dispose()
    assert (tmp_path / name / "heddle.db").stat().st_size > 0
    assert [path.name for path in tmp_path.iterdir()] == [name]
