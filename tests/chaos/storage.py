"""A disk that fills up, a share that turns read-only and goes, under a real service; by hand, as
root on Linux: `python -m tests.chaos.storage`.

The home lies on a small tmpfs of its own. Objects and checkpoints lie on the same disk, but are
reached through a mount of their own, so that it alone can be made read-only or be taken away.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import torch

from ml.networks import tensor_file
from ml.spec.run_spec import RunSpec
from ml.training.loop import train
from store import queries
from store.database.tables import Job
from store.files.artifact_names import WEIGHTS
from store.files.curves import curves
from store.files.objects import ObjectFolder
from tests.heddle.fake_programs import until
from tests.ml.recorders import Kept
from tests.npz import CODES, npz
from tests.service.home import Home, spec
from tests.worker.workplace import Trained, left_by

DISK_MIB = 96
STEPS = 300
KEPT_FREE = 3 << 20
"""Room for a database and a log, and none for a checkpoint."""
SECONDS = 180.0


def main() -> None:
    """Print what a run and the service show in each stage; exit with 1 if the bits differ."""
    base = Path(tempfile.mkdtemp(prefix="heddle-storage-"))
    with _mounted(base) as disk:
        home = Home(
            disk.path / "home",
            HEDDLE_OBJECTS=str(disk.share / "objects"),
            HEDDLE_CHECKPOINTS=str(disk.share / "checkpoints"),
        )
        try:
            same = _Check(home, disk).run()
        finally:
            home.kill()
    sys.exit(0 if same else 1)


class _Disk:
    """A tmpfs, and the share on it."""

    def __init__(self, base: Path) -> None:
        self.path, self.share = base / "disk", base / "share"
        self.filler = self.path / "filler"

    def fill(self, but: int = 0) -> None:
        """Leave so many bytes free."""
        with suppress(OSError), self.filler.open("ab", buffering=0) as file:
            while True:
                file.write(bytes(1 << 12))
        if but:
            with self.filler.open("ab") as file:
                file.truncate(file.tell() - but)

    def free(self) -> None:
        self.filler.unlink()

    def bind(self) -> None:
        _command("mount", "--bind", str(self.path / "share"), str(self.share))

    def read_only(self, mode: str) -> None:
        _at_last("mount", "-o", f"remount,bind,{mode}", str(self.share))

    def unmount(self) -> None:
        _at_last("umount", str(self.share))


class _Check:
    def __init__(self, home: Home, disk: _Disk) -> None:
        self._home, self._disk = home, disk
        self._client = home.serve()
        self._http = httpx.Client(base_url=self._client.url, timeout=60, trust_env=False)
        self._run_id = ""

    def run(self) -> bool:
        self._run_id = self._post(seed=0)
        until(lambda: self._files("checkpoints"), SECONDS)
        self._show("training")

        self._disk.fill(but=KEPT_FREE)
        self._until_trouble("no room for a checkpoint")
        self._disk.free()
        self._until_healed("room again")

        self._disk.fill()
        time.sleep(15)
        self._show("a full disk, for longer than the lease")
        self._ask("a full disk")
        self._disk.free()
        self._until_healed("room again")

        self._disk.read_only("ro")
        self._until_trouble("the share read-only")
        self._ask("the share read-only")
        self._disk.read_only("rw")
        self._until_healed("the share writable again")

        self._disk.unmount()
        self._until_trouble("the share not mounted")
        self._ask("the share not mounted")
        waiting = self._post(seed=1)
        self._client.post(f"/v1/runs/{self._run_id}/cancel")
        until(lambda: self._document()["state"] == "cancelled", SECONDS)
        self._client.post(f"/v1/runs/{self._run_id}/resume")
        until(lambda: "waits: " in self._reason(waiting), SECONDS)
        self._show("taken up again while the share is not mounted")
        self._disk.bind()
        self._until_healed("mounted again")

        until(lambda: self._document()["progress"]["step"] > STEPS - 40, SECONDS)
        self._disk.fill(but=KEPT_FREE // 3)
        until(lambda: self._document()["progress"]["step"] == STEPS, SECONDS)
        self._until_trouble("trained, and no room for the weights", "object folder")
        self._disk.free()
        for run_id in (self._run_id, waiting):
            until(lambda run_id=run_id: self._document(run_id)["state"] == "succeeded", SECONDS)
        self._show("done")
        return all([self._same(self._run_id), self._same(waiting)])

    def _post(self, seed: int) -> str:
        [run] = self._client.submit(spec(steps=STEPS, seed=seed)).runs()
        return run.id

    def _document(self, run_id: str = "") -> dict[str, Any]:
        answer = self._http.get(f"/v1/runs/{run_id or self._run_id}")
        answer.raise_for_status()
        document: dict[str, Any] = answer.json()
        return document

    def _reason(self, run_id: str) -> str:
        return str((self._document(run_id)["waiting"] or {}).get("reason"))

    def _files(self, folder: str) -> list[Path]:
        return list((self._disk.share / folder).glob("*/*"))

    def _until_trouble(self, stage: str, folder: str = "checkpoint folder") -> None:
        until(lambda: folder in (self._document()["progress"]["trouble"] or ""), SECONDS)
        self._show(stage)

    def _until_healed(self, stage: str) -> None:
        """Until there is a new checkpoint and nothing is said against it."""
        before = set(self._files("checkpoints"))

        def healed() -> bool:
            document = self._document()
            fine = document["state"] == "training" and not document["progress"]["trouble"]
            return fine and bool(set(self._files("checkpoints")) - before)

        until(healed, SECONDS)
        self._show(stage)

    def _show(self, stage: str) -> None:
        document = self._document()
        progress, waiting = document["progress"], document["waiting"] or {}
        print(f"\n== {stage}")
        where = f"{progress['stage']} {progress['step']}/{progress['steps']}"
        print(f"  run: {document['state']} ({where}), attempts {document['attempts']}")
        for name, text in (("trouble", progress["trouble"]), ("waiting", waiting.get("reason"))):
            if text:
                print(f"  {name}: {text}")
        if document["error"]:
            print(f"  error: {document['error']}")
        print(f"  readyz: {self._http.get('/readyz').json()}", flush=True)

    def _ask(self, stage: str) -> None:
        """What a client is told who wants something kept."""
        upload = {"file": ("codes.npz", npz(codes=CODES + len(stage)))}
        asked: dict[str, Callable[[], httpx.Response]] = {
            "upload": lambda: self._http.post("/v1/evaluations", files=upload),
            "list": lambda: self._http.get("/v1/experiments"),
        }
        for name, ask in asked.items():
            answer = ask()
            told = answer.json().get("detail", "")
            print(f"  {name}: {answer.status_code} {told}", flush=True)

    def _same(self, run_id: str) -> bool:
        with self._home.database() as database:
            run = queries.run(database, run_id)
            sha256 = queries.artifact(database, run_id, WEIGHTS).sha256
            data = (self._disk.share / "objects" / sha256[:2] / sha256).read_bytes()
            with database.read() as session:
                losses = session.query(Job).filter_by(run_id=run_id, kind="train").one().losses
            left = curves(database, ObjectFolder(self._disk.share / "objects"), run_id)
            found = Trained(tensor_file.from_bytes(data)[0], left)
        torch.set_num_threads(1)
        kept = Kept()
        same = left_by(train(RunSpec.parse(run.spec), kept), kept).same(found)
        bits = "the bits of an undisturbed run" if same else "OTHER BITS"
        print(f"  {run_id}: {bits}, {run.attempts} attempts, {losses} losses")
        return same


@contextmanager
def _mounted(base: Path) -> Iterator[_Disk]:
    disk = _Disk(base)
    disk.path.mkdir()
    disk.share.mkdir()
    _command("mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "heddle-storage", str(disk.path))
    (disk.path / "share").mkdir()
    disk.bind()
    try:
        yield disk
    finally:
        for folder in (disk.share, disk.path):
            with suppress(subprocess.CalledProcessError):
                _command("umount", "--lazy", str(folder))
        for folder in (disk.share, disk.path, base):
            with suppress(OSError):
                folder.rmdir()


def _command(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True)


def _at_last(*argv: str) -> None:
    """Again and again, as a mount is busy while a file is open there."""

    def done() -> bool:
        return subprocess.run(argv, check=False, capture_output=True).returncode == 0

    until(done, SECONDS)


if __name__ == "__main__":
    main()
