from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from store import migrate as command
from store.database.connection import Database, migrate
from store.database.url import parsed_url, sqlite_url
from store.errors import BadDatabaseUrl, DatabaseNewer
from store.settings import settings


def told(monkeypatch: pytest.MonkeyPatch, **environment: str) -> str:
    """What `python -m store.migrate` says as it exits."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    try:
        with pytest.raises(SystemExit) as ended:
            command.main()
    finally:
        settings.cache_clear()
    assert isinstance(ended.value.code, str)
    assert "\n" not in ended.value.code
    return ended.value.code


@pytest.mark.parametrize(
    ("url", "came"),
    [
        ("nonsense", "one that cannot be read as a URL"),
        ("postgresql://u:secret@host:port/x", "one that cannot be read as a URL"),
        ("mysql://user:secret@host/name", "one of the kind 'mysql'"),
        ("sqlite://", "which names no file"),
        ("sqlite:///:memory:", "which names no file"),
        ("sqlite:////data/a?b/heddle.db", "write %3F"),
    ],
)
def test_a_url_of_no_database_is_one_line_without_the_password(
    url: str, came: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = told(monkeypatch, HEDDLE_DATABASE_URL=url)
    assert came in line
    assert "Expected sqlite:////path/to/heddle.db or postgresql://" in line
    assert "secret" not in line
    with pytest.raises(BadDatabaseUrl):
        Database(url)


def test_a_setting_that_cannot_be_read_is_named_as_the_operator_wrote_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = told(monkeypatch, HEDDLE_LEASE_SECONDS="soon")
    assert line.startswith("HEDDLE_LEASE_SECONDS: got 'soon'; ")


def test_a_file_that_is_no_database_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "heddle.db").mkdir()
    line = told(monkeypatch, HEDDLE_DATABASE_URL=sqlite_url(tmp_path / "heddle.db"))
    assert "cannot be used: unable to open database file" in line
    assert "HEDDLE_DATABASE_URL" in line


def test_a_database_that_is_away_is_one_line_without_the_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Nothing listens on port 1.
    line = told(monkeypatch, HEDDLE_DATABASE_URL="postgresql://u:secret@127.0.0.1:1/name")
    assert "The database postgresql://u:***@127.0.0.1:1/name cannot be used" in line
    assert "secret" not in line


def test_a_database_of_a_newer_version_is_left_alone(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(database_url)
    with database.write() as session:
        known = session.scalar(text("SELECT version_num FROM alembic_version"))
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    try:
        with pytest.raises(DatabaseNewer, match="has the schema 9999") as newer:
            migrate(database_url)
        assert f"none after {known}" in str(newer.value)
        assert told(monkeypatch, HEDDLE_DATABASE_URL=database_url) == str(newer.value)
    finally:
        # The PostgreSQL database serves other tests, too.
        with database.write() as session:
            found = session.scalar(text("SELECT version_num FROM alembic_version"))
            session.execute(
                text("UPDATE alembic_version SET version_num = :known"), {"known": known}
            )
        database.dispose()
    assert found == "9999"


def test_a_url_that_was_made_of_a_path_gives_the_path_back(tmp_path: Path) -> None:
    path = tmp_path / "a?b#%41 ü" / "heddle.db"
    assert parsed_url(sqlite_url(path)).database == str(path)
