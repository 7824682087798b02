from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import make_url, select, text
from sqlalchemy.exc import IntegrityError

from store.database.connection import Database, db_now, migrate
from store.database.outages import DATABASE_OUTAGE
from store.database.tables import Base, Score
from tests.heddle.fake_programs import free_port


def test_migrations_arrive_at_the_schema_of_the_tables(database: Database) -> None:
    with database.read() as session:
        context = MigrationContext.configure(session.connection())
        assert compare_metadata(context, Base.metadata) == []


def test_a_second_migration_changes_nothing(database: Database, database_url: str) -> None:
    def revisions() -> list[str]:
        with database.read() as session:
            return list(session.scalars(text("SELECT version_num FROM alembic_version")))

    before = revisions()
    migrate(database_url)
    assert len(before) == 1 and revisions() == before


OLD_ROWS = {
    "experiments": "('e', 'n', '[]', '', '{}', 'o', 0, 0, 0)",
    "runs": "('r', 't', true, 'succeeded', '{}', 'd', 'vae', 1, 2, NULL, '{}', 0, 1, 2)",
    "evaluations": "('v', 'r', 'key', '{}', 'succeeded', NULL, 0, 2)",
    "experiment_runs": "('e', 0, 'r', 'v', '{}', false, true)",
    "jobs": "('j', 'evaluate', 'r', 'v', 'done', 3, 'o', 0, 1, NULL, 'w', 1, 0, NULL, false)",
    "scores": "(7, 'r', 'v', 0, '{}')",
    "artifacts": "(1, 'r', 'v', 'a', 'sha', 'image/png', 3, 0)",
    "events": "('e', 1, 'note', '{}', 0)",
}


def test_a_database_of_the_first_schema_keeps_its_rows(empty_database_url: str) -> None:
    migrate(empty_database_url, to="0001")
    database = Database(empty_database_url)
    with database.write() as session:
        for table, values in OLD_ROWS.items():
            session.execute(text(f"INSERT INTO {table} VALUES {values}"))
        before = {
            table: session.execute(text(f"SELECT * FROM {table}")).mappings().one()
            for table in OLD_ROWS
        }
    database.dispose()
    migrate(empty_database_url)
    with database.read() as session:
        for table, row in before.items():
            after = session.execute(text(f"SELECT * FROM {table}")).mappings().one()
            assert dict(row).items() <= dict(after).items()
        assert session.scalars(text("SELECT wanted FROM evaluations")).one() in (0, False)
        assert session.scalars(text("SELECT position FROM events")).one() == 1
        assert session.scalars(text("SELECT value FROM counters")).one() == 1
    # What referred to the tables that were made anew still does.
    with pytest.raises(IntegrityError), database.write() as session:
        session.execute(text("DELETE FROM evaluations"))
    with pytest.raises(IntegrityError), database.write() as session:
        session.execute(text("UPDATE scores SET evaluation_id = 'another'"))
    database.dispose()


def test_scores_that_are_there_already_are_told_what_they_are_numbers_of(
    empty_database_url: str,
) -> None:
    boosted = {
        "metric": "dci",
        "name": "completeness",
        "params": {"predictor": "gradient_boosting"},
    }
    lasso = {"metric": "dci", "name": "completeness", "params": {"predictor": "lasso"}}
    kl = {"metric": "elbo", "name": "kl", "params": {}, "higher_is_better": False, "rows": 5}
    judged = {"details": {"factors": ["shape"]}}
    asked = {"evaluation": {"rows": 100, "test_rows": 50}}
    # Evaluation, document, and what is added to it.
    cases: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("of a run", {**boosted, **judged, "rows": 150}, {"train_rows": 100, "factors": ["shape"]}),
        # Of a data set with 75 images.
        ("of a run", {**boosted, "rows": 75}, {"train_rows": 50, "factors": None}),
        ("of a run", {**lasso, "rows": 150}, {"train_rows": None, "factors": None}),
        ("of a run", kl, {"train_rows": None, "factors": None, "higher_is_better": None}),
        ("of a file", {**boosted, "rows": 10}, {"train_rows": 8, "factors": None}),
        ("of another", {**boosted, "rows": 10}, {"train_rows": 6, "factors": None}),
    ]
    specs = {"of a run": asked, "of a file": {"train_rows": None}, "of another": {"train_rows": 6}}
    migrate(empty_database_url, to="0008")
    database = Database(empty_database_url)
    with database.write() as session:
        columns = "id, train_id, current, state, spec, dataset, objective, seed, steps, created_at"
        row = "'r', 't', true, 'succeeded', '{}', 'd', 'vae', 1, 2, 0"
        session.execute(text(f"INSERT INTO runs ({columns}) VALUES ({row})"))
        columns = "id, run_id, file_sha256, evaluation_key, spec, state, created_at"
        for id, spec in specs.items():
            run, file = ("r", None) if id == "of a run" else (None, "sha")
            session.execute(
                text(
                    f"INSERT INTO evaluations ({columns})"
                    " VALUES (:id, :run, :file, :id, :spec, 'succeeded', 0)"
                ),
                {"id": id, "run": run, "file": file, "spec": json.dumps(spec)},
            )
        for place, (evaluation, document, _) in enumerate(cases):
            session.execute(
                text(
                    "INSERT INTO scores (id, evaluation_id, position, document)"
                    " VALUES (:place, :of, :place, :document)"
                ),
                {"place": place, "of": evaluation, "document": json.dumps(document)},
            )
    migrate(empty_database_url)
    with database.read() as session:
        found = session.scalars(select(Score.document).order_by(Score.id)).all()
    database.dispose()
    assert found == [{**document, **told} for _, document, told in cases]


def test_an_evaluation_is_of_a_run_or_of_a_file_and_never_of_both(database: Database) -> None:
    with database.write() as session:
        row = "VALUES ('v', '{}', 'queued', 0, 'key', NULL, 'sha')"
        columns = "(id, spec, state, created_at, evaluation_key, run_id, file_sha256)"
        session.execute(text(f"INSERT INTO evaluations {columns} {row}"))
    with pytest.raises(IntegrityError, match="run_or_file"), database.write() as session:
        session.execute(text("UPDATE evaluations SET file_sha256 = NULL"))


def test_simultaneous_migrations_of_one_database_all_succeed(empty_database_url: str) -> None:
    # Processes, as locks within a process would hide what is to be shown.
    code = "import sys; from store.database.connection import migrate; print('ready', flush=True); "
    code += f"sys.stdin.readline(); migrate({empty_database_url!r})"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.wait(30) for process in processes] == [0, 0]


def test_python_m_store_migrate_creates_the_database_in_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    subprocess.run(
        [sys.executable, "-m", "store.migrate"],
        env={"HEDDLE_HOME": str(home), "PATH": ""},
        check=True,
    )
    with Database(f"sqlite:///{home / 'heddle.db'}").read() as session:
        assert session.scalar(text("SELECT count(*) FROM runs")) == 0


def test_the_databases_clock_gives_unix_seconds_with_fractions(database: Database) -> None:
    with database.read() as session:
        first = session.scalars(select(db_now())).one()
        time.sleep(0.02)
        second = session.scalars(select(db_now())).one()
    assert isinstance(first, float)
    assert abs(first - time.time()) < 5
    # The clock runs on within a transaction.
    assert 0.01 < second - first < 5


def test_a_write_that_raises_leaves_no_mark(database: Database) -> None:
    with pytest.raises(RuntimeError, match="stop"), database.write() as session:
        session.execute(
            text(
                "INSERT INTO experiments (id, tags, spec, priority, created_at, events) "
                "VALUES ('e', '[]', '{}', 0, 0, 0)"
            )
        )
        raise RuntimeError("stop")
    with database.read() as session:
        assert session.scalar(text("SELECT count(*) FROM experiments")) == 0


def test_sqlite_commits_are_durable_and_readers_are_not_blocked(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'heddle.db'}"
    migrate(url)
    database = Database(url)
    with database.write() as session:
        session.execute(text("DELETE FROM events"))
        with database.read() as reader:
            assert reader.scalar(text("PRAGMA journal_mode")) == "wal"
            assert reader.scalar(text("PRAGMA synchronous")) == 2
            assert reader.scalar(text("PRAGMA foreign_keys")) == 1
    database.dispose()


@pytest.mark.parametrize("way", ["read", "look", "write"])
@pytest.mark.parametrize("dead", [1, 3])
def test_postgresql_connections_that_died_are_replaced(
    way: str, dead: int, postgres_url: str
) -> None:
    database = Database(postgres_url)
    with ExitStack() as stack:
        sessions = [stack.enter_context(database.read()) for _ in range(dead)]
        ids = [session.scalar(text("SELECT pg_backend_pid()")) for session in sessions]
    other = Database(str(make_url(postgres_url).render_as_string(hide_password=False)))
    with other.write() as session:
        for id in ids:
            session.execute(text("SELECT pg_terminate_backend(:id)"), {"id": id})
    with getattr(database, way)() as found:
        assert found.execute(text("SELECT pg_backend_pid()")).scalar_one() not in ids
    assert database._engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    database.dispose()
    other.dispose()


def test_a_server_of_postgresql_that_is_gone_is_an_outage(postgres_url: str) -> None:
    gone = make_url(postgres_url).set(host="127.0.0.1", port=free_port())
    database = Database(gone.render_as_string(hide_password=False))
    for way in (database.read, database.look, database.write):
        with pytest.raises(DATABASE_OUTAGE), way():
            pass
    database.dispose()


@pytest.mark.parametrize("way", ["read", "look"])
def test_a_reader_sees_one_moment_and_writes_nothing(way: str, database_url: str) -> None:
    database = Database(database_url)
    add = text("INSERT INTO counters VALUES ('a', 1)")
    count = text("SELECT count(*) FROM counters")
    with getattr(database, way)() as reader:
        before = reader.execute(count).scalar_one()
        with database.write() as session:
            session.execute(add)
        assert reader.execute(count).scalar_one() == before
    with getattr(database, way)() as reader:
        assert reader.execute(count).scalar_one() == before + 1
    if database._engine.dialect.name == "postgresql":
        with pytest.raises(DATABASE_OUTAGE), getattr(database, way)() as reader:
            reader.execute(add)
        with database.read() as session:
            isolation = session.scalar(text("SHOW transaction_isolation"))
        with database.write() as session:
            assert isolation != session.scalar(text("SHOW transaction_isolation"))
    database.dispose()


def test_writers_of_one_process_wait_for_each_other_and_not_for_the_database(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whoever looks for the lock of SQLite finds it taken, and gives up at once.
    monkeypatch.setattr("store.database.connection._BUSY_MILLISECONDS", 0)
    database = Database(database_url)
    writing, ended = threading.Event(), []

    def write_first() -> None:
        with database.write() as session:
            session.execute(text("SELECT 1"))
            writing.set()
            time.sleep(0.3)
            ended.append("first")

    first = threading.Thread(target=write_first)
    first.start()
    assert writing.wait(10)
    with database.write() as session:
        session.execute(text("SELECT 1"))
        ended.append("second")
    first.join()
    assert sorted(ended) == ["first", "second"]
    database.dispose()
