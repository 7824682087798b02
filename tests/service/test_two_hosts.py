"""Two hosts with nothing in common but a database, a broker and a shared folder."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from heddle.client.client import Client
from heddle.client.resources import Run
from store.database.connection import Database
from store.files.objects import ObjectFolder
from tests.chaos.verdict import judge
from tests.heddle.fake_programs import until
from tests.service.home import spec, step_of
from tests.service.hosts import Host, Lab

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]

PATIENCE = 300.0
STEPS = 150


def trained_by(client: Client, host: Host, runs: list[Run]) -> Run:
    """The run that a host trains, once it has come some way."""
    found: list[Run] = []

    def come_some_way() -> bool:
        workers = client.get("/v1/workers").json()["items"]
        held = {job["run"] for one in workers if one["host"] == host.name for job in one["jobs"]}
        found[:] = [run for run in runs if run.id in held and step_of(run) > STEPS // 5]
        return bool(found)

    until(come_some_way, PATIENCE)
    return found[0]


def upload(client: Client, folder: Path) -> None:
    """A small data set, which only the server has been given."""
    draws = np.random.default_rng(0)
    np.savez(
        folder / "spots.npz",
        images=draws.integers(0, 256, (120, 64, 64), dtype=np.uint8),
        factors=draws.integers(0, 3, (120, 2)),
    )
    assert client.add_dataset(folder / "spots.npz", name="spots").is_success


def test_hosts_that_are_killed_and_cut_off_end_with_the_bits_of_undisturbed_runs(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = Lab(tmp_path, postgres_url)
    monkeypatch.setenv("HEDDLE_DATA", str(lab.data))
    with lab.serving() as client, lab.host("first") as first, lab.host("second") as second:
        upload(client, tmp_path)
        seeds = list(range(4))
        posted = client.submit({**spec(steps=STEPS), "sweep": {"seed": seeds}})
        spots = {**spec(steps=STEPS), "dataset": "spots", "sweep": {"seed": [0, 1]}}
        uploaded = client.submit(spots)
        runs = [*posted.runs(), *uploaded.runs()]

        killed = trained_by(client, first, runs)
        first.kill()
        parted = trained_by(client, second, runs)
        second.part()
        first.start()
        until(lambda: parted.refresh().document["attempts"] > 1, PATIENCE)
        second.heal()

        assert posted.wait(PATIENCE).state == "succeeded"
        assert uploaded.wait(PATIENCE).state == "succeeded"
        for run in runs:
            assert [step for step, _ in run.scalars()["loss"]] == list(range(1, STEPS + 1))
            # The files are checked by their digests on the way.
            names = {path.name for path in run.download(tmp_path / run.id)}
            assert {"weights.safetensors", "codes.npz", "traversal.png"} <= names
        for run, host in ((killed, "first"), (parted, "second")):
            said = run.log()
            assert f"{host}:" in said
            assert "goes on from step" in said
        # Presence is of a host's own: neither takes the other's processes for dead.
        seen = {one["host"] for one in client.get("/v1/workers").json()["items"]}
        assert seen == {"first", "second"}
    for host in (first, second):
        left = {path.name for path in host.home.rglob("*") if path.is_file()}
        assert left == {"worker.log"}

    database = Database(postgres_url)
    verdict = judge(database, ObjectFolder(lab.objects))
    database.dispose()
    assert (verdict.twice, verdict.wrong, verdict.gone) == (0, 0, 0)
