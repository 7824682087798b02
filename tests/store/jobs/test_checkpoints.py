from __future__ import annotations

from pathlib import Path

import pytest

from store.errors import BadName
from store.jobs.checkpoints import Checkpoint, CheckpointFolder, checkpoints, record_checkpoint
from store.jobs.claim import Claim
from store.jobs.finish import release
from tests.store.lab import Lab

# Parameters of tests are the same in every process that collects them.
A_RUN = "run_01m822kecrheprs28fdpac8mzh"


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


@pytest.mark.parametrize(
    "path", ["../x", "/etc/passwd", "run_x/1-2.safetensors", f"{A_RUN}/../1-2.safetensors"]
)
def test_a_path_that_the_folder_did_not_give_is_refused(
    folder: CheckpointFolder, path: str
) -> None:
    row = Checkpoint("", 1, 2, path, "", 0, 0.0)
    with pytest.raises(BadName, match="<run id>/<fence>-<step>"):
        folder.read_whole(row)
    with pytest.raises(BadName):
        folder.remove([path])
    with pytest.raises(BadName):
        folder.write("../x", 1, 2, b"")


def test_clearing_deletes_a_runs_files_also_those_that_nobody_recorded(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path)
    other = A_RUN[:-1] + "0"
    for run_id in (A_RUN, other):
        folder.write(run_id, 1, 5, b"unrecorded")
    folder.clear(A_RUN)
    folder.clear(A_RUN)
    assert [path.name for path in tmp_path.iterdir()] == [other]
    with pytest.raises(BadName):
        folder.clear("..")
