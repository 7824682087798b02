"""A lab of several hosts: a server with the API and the broker, and hosts that only work."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sqlalchemy.engine import URL, make_url

from heddle.client.client import Client, connect
from heddle.service.broker import choose_broker
from heddle.service.children import Command, kill_group, start
from heddle.service.service import _worker
from store.database.connection import migrate
from tests.heddle.fake_programs import clean_environment, free_port, until
from tests.service.wire import Wire

SETTINGS = {
    "HEDDLE_LEASE_SECONDS": "4",
    "HEDDLE_BEAT_SECONDS": "0.3",
    "HEDDLE_SWEEP_SECONDS": "0.5",
    "HEDDLE_MAX_LOSSES": "10",
    "HEDDLE_TRAIN_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}


class Host:
    """A host that works: its home and its files aside are its own, and so is its network."""

    def __init__(self, name: str, lab: Lab) -> None:
        self.name, self.home = name, lab.folder / name
        (self.home / "tmp").mkdir(parents=True)
        self._database = Wire(f"{lab.database.query['host']}/.s.PGSQL.5432")
        self._broker = Wire(lab.broker.address)
        there = lab.database.difference_update_query(["host"])
        there = there.set(host="127.0.0.1", port=self._database.port)
        argv = _worker("train,evaluate", "-c", "1", "-P", "prefork")
        argv[argv.index("worker.app")] = "tests.service.named_worker"
        self.log = self.home / "worker.log"
        self._command = Command(
            name,
            argv,
            self.log,
            lab.environment
            | {
                "HEDDLE_HOME": str(self.home),
                "HEDDLE_DATABASE_URL": there.render_as_string(hide_password=False),
                "HEDDLE_BROKER_URL": f"redis://127.0.0.1:{self._broker.port}/0",
                "HOST_NAME": name,
                "TMPDIR": str(self.home / "tmp"),
            },
        )
        self._worker: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self._worker = start(self._command)

    def kill(self) -> None:
        """SIGKILL all of the host's processes."""
        if self._worker is not None:
            kill_group(self._worker)
            self._worker.wait()

    def part(self) -> None:
        """Cut the host off from the database and the broker."""
        self._database.part()
        self._broker.part()

    def heal(self) -> None:
        self._database.heal()
        self._broker.heal()

    def end(self) -> None:
        self.kill()
        self._database.end()
        self._broker.end()


class Lab:
    """The server, and the folders that it shares with the hosts: artifacts, checkpoints, data."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.folder = folder
        self.database: URL = make_url(database_url)
        migrate(database_url)
        server = folder / "server"
        server.mkdir()
        self.broker = choose_broker(server)
        shared = folder / "shared"
        self.objects, self.data = shared / "objects", shared / "data"
        self.environment = clean_environment(
            **SETTINGS,
            HEDDLE_OBJECTS=str(self.objects),
            HEDDLE_CHECKPOINTS=str(shared / "checkpoints"),
            HEDDLE_DATA=str(self.data),
        )
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        here = self.environment | {
            "HEDDLE_HOME": str(server),
            "HEDDLE_DATABASE_URL": database_url,
            "HEDDLE_BROKER_URL": self.broker.url,
        }
        api = [sys.executable, "-m", "api", "--port", str(port)]
        control = _worker("control", "-P", "solo", "-B")
        self._commands = [
            self.broker.command,
            Command("api", api, server / "api.log", here),
            Command("control", control, server / "control.log", here),
        ]

    @contextmanager
    def serving(self) -> Iterator[Client]:
        """The server, until the block ends, and a client of it."""
        with ExitStack() as stack:
            stack.callback(self.broker.tidy)
            for command in self._commands:
                process = start(command)
                stack.callback(process.wait)
                stack.callback(kill_group, process)
            client = stack.enter_context(connect(self.url))
            until(lambda: _ready(client), 120)
            yield client

    @contextmanager
    def host(self, name: str) -> Iterator[Host]:
        """A host, until the block ends."""
        host = Host(name, self)
        try:
            yield host
        finally:
            host.end()


def _ready(client: Client) -> bool:
    try:
        return client.get("/readyz").is_success
    except Exception:
        return False
