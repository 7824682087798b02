from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.errors import BadName, DamagedObject, ObjectGone
from store.files.objects import ObjectFolder
from store.files.whole_file import write_whole


@pytest.fixture
def folder(tmp_path: Path) -> ObjectFolder:
    return ObjectFolder(tmp_path / "objects")


def files(folder: ObjectFolder) -> list[str]:
    return sorted(path.name for path in folder.root.rglob("*") if path.is_file())


def test_content_is_found_by_its_digest(folder: ObjectFolder) -> None:
    sha256, size = folder.put(b"codes")
    assert (sha256, size) == (hashlib.sha256(b"codes").hexdigest(), 5)
    assert folder.path(sha256).read_bytes() == b"codes"
    with folder.open(sha256) as file:
        assert file.read() == b"codes"


@pytest.mark.parametrize(("umask", "mode"), [(0o077, 0o600), (0o022, 0o644)])
def test_who_may_read_a_file_is_the_processs_umask_to_say(
    folder: ObjectFolder, umask: int, mode: int
) -> None:
    before = os.umask(umask)
    try:
        sha256, _ = folder.put(b"codes")
    finally:
        os.umask(before)
    assert folder.path(sha256).stat().st_mode & 0o777 == mode


def test_a_file_is_kept_by_copy(folder: ObjectFolder, tmp_path: Path) -> None:
    source = tmp_path / "codes.npz"
    source.write_bytes(b"x" * 3_000_000)
    sha256, size = folder.put(source)
    source.write_bytes(b"changed")
    assert size == 3_000_000
    assert folder.path(sha256).stat().st_size == size


def test_the_same_content_is_kept_once(folder: ObjectFolder) -> None:
    threads = [threading.Thread(target=folder.put, args=(b"same",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert files(folder) == [hashlib.sha256(b"same").hexdigest()]


def test_a_write_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")

    def broken() -> Iterator[bytes]:
        yield b"new"
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_whole(tmp_path, broken(), lambda _: target)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(
    "name", ["", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 65, "a" * 64 + "\n", "/" + "a" * 63]
)
def test_a_name_that_is_no_digest_is_refused(folder: ObjectFolder, name: str) -> None:
    with pytest.raises(BadName, match="64 hexadecimal digits"):
        folder.path(name)
    with pytest.raises(BadName):
        folder.open(name)


def test_content_that_was_never_put_is_named(folder: ObjectFolder) -> None:
    with pytest.raises(ObjectGone, match="a" * 64):
        folder.open("a" * 64)


def test_a_flipped_bit_is_noticed_and_putting_the_content_again_heals_it(
    folder: ObjectFolder,
) -> None:
    sha256, _ = folder.put(b"codes")
    folder.path(sha256).write_bytes(b"codez")
    with pytest.raises(DamagedObject, match=sha256) as damaged:
        folder.open(sha256)
    assert "backup" in damaged.value.advice
    folder.put(b"codes")
    with folder.open(sha256) as file:
        assert file.read() == b"codes"


def test_a_file_that_the_disk_cannot_read_is_damaged(
    folder: ObjectFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha256, _ = folder.put(b"codes")

    def fails(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(hashlib, "file_digest", fails)
    with pytest.raises(DamagedObject, match="Input/output error"):
        folder.open(sha256)
