from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ml.datasets._prepared import WrongDigest, prepared

ROWS = np.arange(40, dtype=np.uint8).reshape(10, 4)


class Blocks:
    """Gives ROWS in two blocks and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self) -> Iterator[NDArray[np.uint8]]:
        self.asked += 1
        yield ROWS[:6]
        yield ROWS[6:]


def test_rows_are_computed_once_and_mapped_read_only(tmp_path: Path) -> None:
    blocks = Blocks()
    for _ in range(2):
        rows = prepared(tmp_path / "new" / "rows", ROWS.shape, blocks)
        np.testing.assert_array_equal(rows, ROWS)
        assert not rows.flags.writeable
    assert blocks.asked == 1


@pytest.mark.parametrize("damage", ["flipped", "short", "empty"])
def test_damaged_rows_are_computed_again(tmp_path: Path, damage: str) -> None:
    blocks, path = Blocks(), tmp_path / "rows"
    prepared(path, ROWS.shape, blocks)
    whole = path.read_bytes()
    path.write_bytes(
        {"flipped": whole[:5] + b"\xff" + whole[6:], "short": whole[:-1], "empty": b""}[damage]
    )
    # A file system with coarse times could hide a change made within one tick.
    os.utime(path, ns=(1, 1))

    np.testing.assert_array_equal(prepared(path, ROWS.shape, blocks), ROWS)
    assert blocks.asked == 2
    assert path.read_bytes() == whole


def test_whole_rows_with_another_digest_than_asked_for_are_computed_again(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    prepared(path, ROWS.shape, lambda: [ROWS[::-1].copy()])
    rows = prepared(path, ROWS.shape, Blocks(), sha256=hashlib.sha256(ROWS.data).hexdigest())
    np.testing.assert_array_equal(rows, ROWS)


def test_rows_that_come_out_wrong_are_refused_and_not_kept(tmp_path: Path) -> None:
    with pytest.raises(WrongDigest, match="expected 00ff"):
        prepared(tmp_path / "rows", ROWS.shape, Blocks(), sha256="00ff")
    assert [file.name for file in tmp_path.iterdir()] in ([], ["rows.lock"])


def test_progress_counts_rows_and_may_stop_the_work_without_a_trace(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    prepared(tmp_path / "rows", ROWS.shape, Blocks(), lambda done, all_: told.append((done, all_)))
    assert told == [(6, 10), (10, 10)]

    def cancel(done: int, total: int) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        prepared(tmp_path / "others", ROWS.shape, Blocks(), cancel)
    assert not list(tmp_path.glob("others*.part"))
    assert not (tmp_path / "others").exists()


def test_what_a_killed_process_left_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "rows.part").write_bytes(b"x" * 1000)
    np.testing.assert_array_equal(prepared(tmp_path / "rows", ROWS.shape, Blocks()), ROWS)
    assert not (tmp_path / "rows.part").exists()


def test_whole_rows_are_opened_where_nothing_may_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared(tmp_path / "rows", ROWS.shape, Blocks())

    def refuse(path: str) -> None:
        raise PermissionError(path)

    monkeypatch.setattr("ml.datasets._prepared.FileLock", refuse)
    np.testing.assert_array_equal(prepared(tmp_path / "rows", ROWS.shape, Blocks()), ROWS)
