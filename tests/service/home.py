"""A home that `heddle up` serves, with everything real: API, workers, broker, database."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from heddle.client.client import Client, connect
from heddle.client.resources import Run
from store.database.connection import Database
from tests.heddle.fake_programs import PATIENCE, clean_environment, content, free_port, processes

#: Impatient, as what is waited for here is a dead worker; but patient with a busy machine.
SETTINGS = {
    "HEDDLE_LEASE_SECONDS": "10",
    "HEDDLE_BEAT_SECONDS": "0.2",
    "HEDDLE_SWEEP_SECONDS": "0.5",
    "HEDDLE_MAX_LOSSES": "10",
    "HEDDLE_TRAIN_THREADS": "1",
}


def spec(*, steps: int = 10, seed: int = 0, learning_rate: float = 1e-3) -> dict[str, Any]:
    """A small run: on one thread about 50 steps a second."""
    return {
        "dataset": "digits",
        "model": {"name": "burgess", "latent_dim": 4},
        "objective": "beta_vae",
        "training": {
            "steps": steps,
            "batch_size": 8,
            "optimizer": {"name": "adam", "learning_rate": learning_rate},
            "checkpoint_minutes": 0.005,
        },
        "evaluation": {"metrics": ["mig", "elbo"], "rows": 60, "test_rows": 20},
        "traversal": {"frames": 3},
        "seed": seed,
    }


class Home:
    """A folder, and the service on it while there is one."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self._environment = clean_environment(**SETTINGS, **environment)
        self._process: subprocess.Popen[str] | None = None
        self._url = ""

    def serve(self) -> Client:
        """A client of the service, which is started if there is none."""
        if self._process is None:
            port = free_port()
            self._url = f"http://127.0.0.1:{port}"
            self._process = subprocess.Popen(
                [sys.executable, "-m", "heddle", "up", "--port", str(port)],
                env=self._environment | {"HEDDLE_HOME": str(self.folder)},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            assert self._process.stdout is not None
            said = self._process.stdout.readline()
            assert self._url in said, said + self._process.communicate()[0]
        return connect(self._url)

    def end(self, number: signal.Signals, seconds: float = PATIENCE) -> int:
        """Send the service a signal and wait for its end; returns its exit status."""
        assert self._process is not None
        process, self._process = self._process, None
        process.send_signal(number)
        try:
            process.communicate(timeout=seconds)
        finally:
            # The guard ends all others with it.
            process.kill()
            process.communicate()
        return process.returncode

    def kill(self) -> None:
        if self._process is not None:
            self.end(signal.SIGKILL)

    def processes(self) -> set[int]:
        """Everything that runs for this home."""
        return set(processes(self.folder))

    def pool(self, queue: str) -> tuple[int, int]:
        """The worker of a queue, and the pool's process that does its work."""
        workers = [
            number for number, command in processes(self.folder).items() if f"-Q {queue}" in command
        ]
        [parent] = [number for number in workers if _parent(number) not in workers]
        [child] = [number for number in workers if _parent(number) == parent]
        return parent, child

    @contextmanager
    def database(self) -> Iterator[Database]:
        """The home's own database."""
        database = Database(f"sqlite:///{self.folder / 'heddle.db'}")
        yield database
        database.dispose()


def step_of(run: Run) -> int:
    """How far a run is by its last beat."""
    progress = run.refresh().document["progress"] or {}
    return int(progress.get("step") or 0) if progress.get("stage") == "training" else 0


def libraries(process_id: int) -> str:
    """The files that a process has mapped."""
    return content(Path(f"/proc/{process_id}/maps")).decode()


def _parent(process_id: int) -> int:
    return int(content(Path(f"/proc/{process_id}/stat")).rpartition(b")")[2].split()[1])
