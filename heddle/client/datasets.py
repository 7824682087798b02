"""Sending a data set: a folder is packed, and files go in parts that can be taken up again."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal, TypeAlias

import httpx

from heddle.client.connection import Connection, address, cause_of
from heddle.client.problem import checked, pause_asked_for
from heddle.errors import HeddleError, ServerUnreachable, SpecError

Stage = Literal["packing", "sending", "storing"]
Progress: TypeAlias = Callable[[Stage, int, int], None]
"""Called with what is done, and how much of how much: files while packing, else bytes."""

PART_BYTES = 8 << 20
#: An upload is given up after so long without another byte that arrived.
PATIENCE_SECONDS = 120.0
PAUSE_SECONDS = 0.5
#: The server reads all images before it answers.
STORING_TIMEOUT = httpx.Timeout(4 * 3600.0, connect=5.0)
#: How long a server may be busy with other people's data sets.
BUSY_SECONDS = 3600.0
#: Answers after which the upload may go on: its offset is another, or the server is busy.
_GO_ON = (HTTPStatus.CONFLICT, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS)


def send_dataset(
    client: Connection,
    source: str | Path,
    said: Mapping[str, Any],
    *,
    factors: str | Path | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> httpx.Response:
    """Send a file or a folder of images, and maybe a table of factors, with what is said of them.

    Raises:
        SpecError: a file cannot be read, or the folder holds no files.
        HeddleError: the server's answer is not a success.
        ServerUnreachable: there is no answer, or none for two minutes during the upload.
    """
    report: Progress = progress or (lambda *_: None)
    document = dict(said)
    sent: list[str] = []
    try:
        with _one_file(Path(source), report) as file:
            document["upload"] = _uploaded(client, file, sent, report)
        if factors is not None:
            document["factors_upload"] = _uploaded(client, Path(factors), sent, report)
        report("storing", 0, 1)
        answer = _stored(client, document, dry_run)
        report("storing", 1, 1)
        return answer
    finally:
        # What the server has stored, it has removed itself.
        for id in sent:
            with suppress(HeddleError):
                client.delete(address("uploads", id))


@contextmanager
def _one_file(source: Path, report: Progress) -> Iterator[Path]:
    """The file itself, or a zip file of a folder, which is removed afterwards."""
    if not source.is_dir():
        yield source
        return
    files = sorted(_files(source))
    if not files:
        raise SpecError(f"The folder {source} holds no files")
    with tempfile.TemporaryDirectory(prefix="heddle-") as folder:
        packed = Path(folder) / f"{source.resolve().name or 'images'}.zip"
        try:
            # Stored as they are, since images are compressed already.
            with zipfile.ZipFile(
                packed, "w", zipfile.ZIP_STORED, strict_timestamps=False
            ) as zipped:
                for number, file in enumerate(files):
                    zipped.write(file, file.relative_to(source).as_posix())
                    report("packing", number + 1, len(files))
        except OSError as error:
            raise SpecError(f"Cannot pack the folder {source}", detail=str(error)) from error
        yield packed


def _files(folder: Path) -> Iterator[Path]:
    """The files below a folder, without hidden ones."""
    for below, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(below, name)
            if not name.startswith(".") and path.is_file():
                yield path


def _uploaded(client: Connection, file: Path, sent: list[str], report: Progress) -> str:
    """The id of a file that has been sent in parts. It is added to `sent` as soon as it has one."""
    try:
        size, sha256 = file.stat().st_size, _sha256(file)
    except OSError as error:
        raise SpecError(f"Cannot read the file {file}", detail=str(error)) from error
    announced = {"bytes": size, "sha256": sha256, "name": file.name[-255:]}
    id = str(client.post("/v1/uploads", announced).json()["id"])
    sent.append(id)
    offset, give_up = 0, time.monotonic() + PATIENCE_SECONDS
    with file.open("rb") as opened:
        while offset < size:
            report("sending", offset, size)
            opened.seek(offset)
            arrived = _part(client, id, offset, opened.read(PART_BYTES))
            if arrived is None or arrived == offset:
                if time.monotonic() > give_up:
                    raise ServerUnreachable(client.url, "the upload does not go on")
                time.sleep(PAUSE_SECONDS)
            else:
                give_up = time.monotonic() + PATIENCE_SECONDS
            offset = offset if arrived is None else arrived
    report("sending", size, size)
    return id


def _part(client: Connection, id: str, offset: int, content: bytes) -> int | None:
    """Send a part. Returns where the file ends then, or None if that cannot be asked at once."""
    path = address("uploads", id)
    headers = {"Upload-Offset": str(offset), "Content-Type": "application/octet-stream"}
    with suppress(httpx.TransportError):
        answer = client.request("PATCH", path, content=content, headers=headers)
        if answer.status_code not in _GO_ON:
            return int(checked(answer).json()["offset"])
    # A part of it may have arrived.
    try:
        found = client.request("GET", path)
    except httpx.TransportError:
        return None
    if found.status_code in _GO_ON:
        return None
    return int(checked(found).json()["offset"])


def _stored(client: Connection, document: Mapping[str, Any], dry_run: bool) -> httpx.Response:
    """Have the server store what was sent. While it is busy with others, it is asked again."""
    params = {"dry_run": "true"} if dry_run else {}
    give_up = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            answer = client.request(
                "POST", "/v1/datasets", json=document, params=params, timeout=STORING_TIMEOUT
            )
        except httpx.TransportError as error:
            raise ServerUnreachable(client.url, cause_of(error)) from error
        pause = pause_asked_for(answer)
        if pause is None or time.monotonic() > give_up:
            return checked(answer)
        time.sleep(pause)


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
