from __future__ import annotations

from pathlib import Path

import pytest

from store.errors import BadName
from store.files.checkpoint_folder import Checkpoint, CheckpointFolder

# Parameters of tests are the same in every process that collects them.
A_RUN = "run_01m822kecrheprs28fdpac8mzh"


@pytest.mark.parametrize(
    "path", ["../x", "/etc/passwd", "run_x/1-2.safetensors", f"{A_RUN}/../1-2.safetensors"]
)
def test_a_path_that_the_folder_did_not_give_is_refused(tmp_path: Path, path: str) -> None:
    folder = CheckpointFolder(tmp_path)
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
