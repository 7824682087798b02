"""Connections to SQLite or PostgreSQL, the database's clock, and the schema's upgrades."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from filelock import FileLock
from psycopg import Error as DriverError
from psycopg.errors import IdleInTransactionSessionTimeout, ReadOnlySqlTransaction
from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Double,
    Engine,
    ExceptionContext,
    create_engine,
    event,
    func,
    select,
)
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.functions import FunctionElement

from store.database.mounts import is_network, mount_of, mounts
from store.database.together import Together
from store.database.url import parsed_url
from store.errors import DatabaseNewer, DatabaseOnNetwork

if TYPE_CHECKING:
    from alembic.config import Config

T = TypeVar("T")

MOST_CONNECTIONS = 50
"""The connections that a process has open at once, at most. PostgreSQL takes 100 of all."""
_KEPT_CONNECTIONS = 10

# How long a SQLite writer waits for the one before it.
_BUSY_MILLISECONDS = 30_000
_BEGIN_READING = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
# A worker may be stopped in the middle of a transaction, or its machine may be gone. Without the
# timeout it would hold its locks, and the reaper would wait for them, as long as the system
# pleases. Readers lock nobody out, and may be slow in a busy process of many threads.
_BEGIN_WRITING = (
    "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL idle_in_transaction_session_timeout = {}"
)
# PostgreSQL ends a writer's connection that is silent for so long inside a transaction.
_IDLE_MILLISECONDS = 5_000
# By the system's own settings a connection that has fallen silent is noticed only after hours. With
# these, nobody waits longer for a host that is gone than a lease lasts.
_PATIENCE = {
    "connect_timeout": 10,
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
# Any fixed number will do. It must only differ from other programs' numbers in the same database.
_MIGRATION_LOCK = 0x48_45_44_44_4C_45


class _Now(FunctionElement[float]):
    type = Double()
    inherit_cache = True


@compiles(_Now, "postgresql")
def _now_postgresql(*_: Any, **__: Any) -> str:
    # now() is the start of the transaction, which may have waited for a lock since then.
    return "CAST(extract(epoch FROM clock_timestamp()) AS double precision)"


@compiles(_Now, "sqlite")
def _now_sqlite(*_: Any, **__: Any) -> str:
    # unixepoch('subsec') needs SQLite 3.42; 2440587.5 is the julian day of 1970-01-01.
    return "((julianday('now') - 2440587.5) * 86400.0)"


def db_now() -> ColumnElement[float]:
    """Seconds since 1970 by the database's clock, as a SQL expression.

    Leases are granted and checked by this one clock, so workers' clocks may differ.
    """
    return _Now()


class Database:
    """A SQLite file or a PostgreSQL database, with a pool of connections that threads may share.

    After a fork, the child must make a `Database` of its own. At most `connections` are open at
    once; a thread that needs one more waits.

    Raises:
        BadDatabaseUrl: if the URL is not one of SQLite or PostgreSQL.
        DatabaseOnNetwork: if the database is a file on a network file system.
    """

    def __init__(self, url: str, *, connections: int = MOST_CONNECTIONS) -> None:
        engine = _engine(parsed_url(url), connections)
        self._engine = engine
        self._turn: AbstractContextManager[object] = nullcontext()
        self._together: Together | None = None
        if engine.dialect.name == "sqlite":
            # A waiting SQLite writer tries again, ever more rarely, and some try in vain for
            # seconds. So the writers of one process take turns.
            self._turn = threading.Lock()
            self._reader: Engine = engine
            self._writer: Engine = engine.execution_options(heddle_writes=True)
            self._together = Together(self._writer, self._turn)
        else:
            event.listen(engine, "connect", _leave_beginning)
            self._reader = self._writer = engine

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction for reading. It sees the database as it was at its first query."""
        with self._transaction(self._reader, _BEGIN_READING) as session:
            yield session

    @contextmanager
    def look(self) -> Iterator[Connection]:
        """The same, for statements of columns alone: a session takes longer than most of them."""
        if self._together is not None:
            with self._engine.begin() as connection:
                yield connection
            return
        with _begun(self._engine, _BEGIN_READING) as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction for writing. It commits at the end, or changes nothing after an error.

        On SQLite it is the only writer from its first statement on, and a thread must not open two
        of them at once. On PostgreSQL, lock the rows that others must not change meanwhile.
        """
        begin = _BEGIN_WRITING.format(_IDLE_MILLISECONDS)
        with self._turn, self._transaction(self._writer, begin) as session:
            yield session

    @contextmanager
    def _transaction(self, engine: Engine, begin: str) -> Iterator[Session]:
        if self._together is not None:
            with Session(engine, expire_on_commit=False) as session, session.begin():
                yield session
            return
        with (
            _begun(engine, begin) as connection,
            connection.begin(),
            Session(connection, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    def write_together(self, work: Callable[[Session], T]) -> T:
        """Do this work in a transaction for writing, and give what it returns.

        On SQLite, the work that threads bring while another one writes shares a transaction, and
        so a sync of the disk. Each is a savepoint of it: work that raises changes nothing, and the
        rest is committed all the same.
        """
        if self._together is not None:
            return self._together.do(work)
        with self.write() as session:
            return work(session)

    def dispose(self) -> None:
        """Close the pool's idle connections."""
        self._engine.dispose()


def migrate(url: str, *, to: str = "head") -> None:
    """Create the schema or upgrade it, to the newest version or up `to` another.

    Several processes may call this at once: one migrates, and the others wait and find it done.

    Raises:
        BadDatabaseUrl: if the URL is not one of SQLite or PostgreSQL.
        DatabaseOnNetwork: if the database is a file on a network file system.
        DatabaseNewer: if a newer version of Heddle has already migrated the database.
    """
    # Most processes never migrate.
    from alembic import command
    from alembic.config import Config

    parsed = parsed_url(url)
    engine = _engine(parsed)
    if _is_sqlite(parsed):
        event.listen(engine, "connect", _allow_rebuilt_tables)
    config = Config()
    # The package is named and not imported, as the migrations import the tables.
    config.set_main_option("script_location", "migrations:.")
    # The first connection to a new SQLite file switches its journal mode, and must be the only one.
    alone = FileLock(f"{parsed.database}.migrate") if _is_sqlite(parsed) else nullcontext()
    try:
        with alone, engine.begin() as connection:
            if not _is_sqlite(parsed):
                connection.execute(select(func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
            _check_known(connection, config, parsed)
            config.attributes["connection"] = connection
            command.upgrade(config, to)
            if _is_sqlite(parsed):
                _check_references(connection)
    finally:
        engine.dispose()


def _check_known(connection: Connection, config: Config, url: URL) -> None:
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(config)
    known = {script.revision for script in scripts.walk_revisions()}
    found = MigrationContext.configure(connection).get_current_revision()
    if found is not None and found not in known:
        newest = str(scripts.get_current_head())
        raise DatabaseNewer(url.render_as_string(hide_password=True), found, newest)


def _engine(url: URL, connections: int = MOST_CONNECTIONS) -> Engine:
    # NaN is not JSON. SQLite would accept it and PostgreSQL refuse it, so it is refused on both.
    serializer = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode
    kept = min(_KEPT_CONNECTIONS, connections)
    pool: dict[str, Any] = {"pool_size": kept, "max_overflow": connections - kept}
    if _is_sqlite(url):
        path = Path(str(url.database))
        _check_local(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(url, json_serializer=serializer, **pool)
        event.listen(engine, "connect", _open_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    engine = create_engine(url, json_serializer=serializer, connect_args=_PATIENCE, **pool)
    event.listen(engine, "connect", _open_postgresql)
    event.listen(engine, "handle_error", _as_outage, retval=True)
    return engine


def check_local(url: str) -> None:
    """Make sure that a database file does not lie on a network file system.

    Raises:
        BadDatabaseUrl: if the URL is not one of SQLite or PostgreSQL.
        DatabaseOnNetwork: if the file lies on one.
    """
    parsed = parsed_url(url)
    if _is_sqlite(parsed):
        _check_local(Path(str(parsed.database)))


def _check_local(path: Path) -> None:
    mount = mount_of(path.resolve(), mounts())
    if mount is not None and is_network(mount.file_system):
        raise DatabaseOnNetwork(path, mount.point, mount.file_system)


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _open_postgresql(connection: Any, _: Any) -> None:
    # PostgreSQL plans the checks of foreign keys once for each connection. While the tables are
    # small it would plan scans, and then posting 10,000 runs takes 22 s instead of 3.
    connection.execute("SET enable_seqscan = off")
    connection.commit()


def _leave_beginning(connection: Any, _: Any) -> None:
    # The driver must not begin transactions by itself: `_begun` chooses their kind.
    connection.autocommit = True


@contextmanager
def _begun(engine: Engine, begin: str) -> Iterator[Connection]:
    """A connection to PostgreSQL inside a transaction, begun by these statements.

    They show, too, whether the connection is alive. One that died in the pool, as with a restarted
    server, is replaced: nothing was asked of it yet.
    """
    for others in reversed(range(MOST_CONNECTIONS + 1)):
        connection = engine.connect()
        driver: Any = connection.connection.driver_connection
        try:
            # Several statements in one message cannot be prepared.
            driver.execute(begin, prepare=False)
            break
        except DriverError as error:
            connection.invalidate(error)
            connection.close()
            if not (driver.closed and others):
                raise OperationalError(begin, None, error) from error
    with connection:
        yield connection


def _as_outage(context: ExceptionContext) -> BaseException | None:
    # psycopg makes both of these internal errors, which nobody would wait out. SQLite reports a
    # read-only database as an operational error.
    error = context.original_exception
    if isinstance(error, ReadOnlySqlTransaction | IdleInTransactionSessionTimeout):
        return OperationalError(context.statement, context.parameters, error)
    return None


def _open_sqlite(connection: Any, _: Any) -> None:
    # The driver must not begin transactions by itself: `_begin_sqlite` chooses their kind.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_MILLISECONDS}")
    connection.execute("PRAGMA journal_mode = WAL")
    # With NORMAL a power cut could undo a POST that was already answered. FULL adds a sync to each
    # commit, which is cheap, as there are few commits.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _allow_rebuilt_tables(connection: Any, _: Any) -> None:
    # To alter a table in SQLite, a migration builds a new one and drops the old one. SQLite would
    # refuse to drop it while rows of other tables refer to it. The pragma takes effect only outside
    # a transaction.
    connection.execute("PRAGMA foreign_keys = OFF")


def _check_references(connection: Connection) -> None:
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    if broken:
        raise RuntimeError(f"The migration would leave {len(broken)} references into nothing.")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("heddle_writes", False)
    # A transaction that begins by reading fails when it writes after another has written meanwhile.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
