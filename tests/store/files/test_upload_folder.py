from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from store.errors import NotFound, TooManyUploads, UploadBusy, UploadDamaged, WrongOffset
from store.files import upload_folder
from store.files.upload_folder import UploadFolder

CONTENT = bytes(range(256)) * 40


def send(folder: UploadFolder, id: str, chunk: bytes, at: int) -> None:
    with folder.adding(id, at) as add:
        add(chunk)


def test_a_file_comes_in_parts_and_is_whole_in_the_end(tmp_path: Path) -> None:
    folder = UploadFolder(tmp_path / "uploads")
    begun = folder.begin(len(CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest())
    send(folder, begun.id, CONTENT[:1000], 0)
    with pytest.raises(WrongOffset), folder.whole(begun.id):
        pass
    # Another process goes on.
    again = UploadFolder(tmp_path / "uploads")
    assert again.find(begun.id).offset == 1000
    send(again, begun.id, CONTENT[1000:], 1000)
    with again.whole(begun.id) as path:
        assert path.read_bytes() == CONTENT
    again.remove(begun.id)
    with pytest.raises(NotFound):
        again.find(begun.id)
    assert not any(folder.root.iterdir())


def test_what_came_before_the_sender_broke_off_stays(tmp_path: Path) -> None:
    folder = UploadFolder(tmp_path)
    id = folder.begin(len(CONTENT)).id
    with pytest.raises(ConnectionError), folder.adding(id, 0) as add:
        add(CONTENT[:300])
        raise ConnectionError
    assert folder.find(id).offset == 300


@pytest.mark.parametrize("at", [0, 299, 301])
def test_parts_go_on_where_the_file_ends(tmp_path: Path, at: int) -> None:
    folder = UploadFolder(tmp_path)
    id = folder.begin(len(CONTENT)).id
    send(folder, id, CONTENT[:300], 0)
    with pytest.raises(WrongOffset, match="has 300 bytes"):
        send(folder, id, b"x", at)
    assert folder.find(id).offset == 300


def test_no_more_comes_than_was_announced(tmp_path: Path) -> None:
    folder = UploadFolder(tmp_path)
    id = folder.begin(10).id
    with pytest.raises(WrongOffset, match="was announced with 10 bytes"):
        send(folder, id, b"x" * 11, 0)
    assert folder.find(id).offset == 0


def test_one_sender_at_a_time(tmp_path: Path) -> None:
    folder = UploadFolder(tmp_path)
    id = folder.begin(10).id
    with folder.adding(id, 0), pytest.raises(UploadBusy):
        send(UploadFolder(tmp_path), id, b"x", 0)


def test_a_file_with_another_digest_is_refused(tmp_path: Path) -> None:
    folder = UploadFolder(tmp_path)
    id = folder.begin(3, sha256=hashlib.sha256(b"abc").hexdigest()).id
    send(folder, id, b"abd", 0)
    with pytest.raises(UploadDamaged), folder.whole(id):
        pass


@pytest.mark.parametrize("id", ["../secret", "up_../x", "up_" + "0" * 32, "", "up_A" + "0" * 31])
def test_only_ids_that_were_given_lead_anywhere(tmp_path: Path, id: str) -> None:
    (tmp_path / "secret").write_text("s")
    with pytest.raises(NotFound):
        UploadFolder(tmp_path / "uploads").find(id)


def test_uploads_are_few_and_are_removed_when_nothing_comes_for_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload_folder, "MOST_UPLOADS", 2)
    folder = UploadFolder(tmp_path)
    old, young = folder.begin(10).id, folder.begin(10).id
    with pytest.raises(TooManyUploads):
        folder.begin(10)
    day_ago = time.time() - 24 * 3600 - 1
    for path in (tmp_path / old, tmp_path / f"{old}.json", tmp_path / f"{young}.json"):
        os.utime(path, (day_ago, day_ago))
    folder.begin(10)
    assert folder.find(young)
    with pytest.raises(NotFound):
        folder.find(old)
