from __future__ import annotations

from pathlib import Path

import pytest

from store.files.checkpoint_folder import CheckpointFolder
from store.jobs.checkpoints import checkpoints, record_checkpoint
from store.jobs.claim import Claim
from store.jobs.finish import release
from tests.store.lab import Lab


@pytest.fixture
def folder(tmp_path: Path) -> CheckpointFolder:
    return CheckpointFolder(tmp_path / "checkpoints")


def save(lab: Lab, folder: CheckpointFolder, claim: Claim, step: int) -> list[str]:
    data = f"fence {claim.fence}, step {step}".encode()
    path, sha256, size = folder.write(claim.run_id, claim.fence, step, data)
    return record_checkpoint(
        lab.database,
        claim,
        step=step,
        path=path,
        sha256=sha256,
        size=size,
        width=1,
        device_model="cpu",
    )


def test_two_checkpoints_are_kept_and_the_others_named_for_removal(
    lab: Lab, folder: CheckpointFolder
) -> None:
    run_id = lab.run_of(lab.post("a"))
    taken = lab.take()
    assert save(lab, folder, taken, 100) == save(lab, folder, taken, 200) == []
    removable = save(lab, folder, taken, 300)
    assert removable == [f"{run_id}/1-100.safetensors"]
    folder.remove([*removable, *removable])
    assert [row.step for row in checkpoints(lab.database, run_id)] == [300, 200]
    assert sorted(path.name for path in (folder.root / run_id).iterdir()) == [
        "1-200.safetensors",
        "1-300.safetensors",
    ]


def test_a_step_may_be_saved_twice(lab: Lab, folder: CheckpointFolder) -> None:
    run_id = lab.run_of(lab.post("a"))
    taken = lab.take()
    save(lab, folder, taken, 100)
    assert save(lab, folder, taken, 100) == []
    [row] = checkpoints(lab.database, run_id)
    assert folder.read_whole(row) == b"fence 1, step 100"


def test_a_torn_checkpoint_falls_back_to_the_older_one(lab: Lab, folder: CheckpointFolder) -> None:
    run_id = lab.run_of(lab.post("a"))
    first = lab.take()
    save(lab, folder, first, 100)
    save(lab, folder, first, 200)
    newest = folder.root / run_id / "1-200.safetensors"
    newest.write_bytes(newest.read_bytes()[:-1])
    whole = [folder.read_whole(row) for row in checkpoints(lab.database, run_id)]
    assert whole == [None, b"fence 1, step 100"]
    newest.unlink()
    assert folder.read_whole(checkpoints(lab.database, run_id)[0]) is None
    # The next attempt starts at 100; what it saves counts before the torn file of a later step.
    release(lab.database, first)
    save(lab, folder, lab.take(), 150)
    row = checkpoints(lab.database, run_id)[0]
    assert (row.fence, row.step) == (2, 150)
    assert folder.read_whole(row) == b"fence 2, step 150"
