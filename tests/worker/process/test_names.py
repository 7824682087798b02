from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from store.states import JobKind
from store.workers.presence import present
from tests.worker.workplace import Workplace, on_sqlite
from worker.process import presence, stores


def test_on_a_machine_a_worker_is_called_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "_IDS_OF_MACHINE", stores._PROCESS_IDS.stat().st_ino)
    assert stores.worker_name() == f"{socket.gethostname()}:{os.getpid()}"
    monkeypatch.setattr(stores, "_PROCESS_IDS", Path("/no such system"))
    assert stores.worker_name() == f"{socket.gethostname()}:{os.getpid()}"


@on_sqlite
def test_containers_of_one_host_name_are_told_apart_although_they_number_processes_alike(
    workplace: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = workplace.stores.database
    said = []
    for container in ("one", "other"):
        file = tmp_path / container
        file.touch()
        monkeypatch.setattr(stores, "_PROCESS_IDS", file)
        said.append(presence.presence(JobKind.EVALUATE))
        presence.say_present(database, said[-1], first=True)
    assert len({one.name for one in said}) == 2
    # In the other one no process has the number of the first one's process.
    monkeypatch.setattr("worker.process.presence.psutil.pid_exists", lambda _: False)
    presence.bury(database, said[1].host)
    assert [worker.said.name for worker in present(database)] == [said[0].name]
