"""Downloads: a file is written aside, checked by its digest, and then renamed into place."""

from __future__ import annotations

import hashlib
import io
import os
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import httpx

from heddle.client.connection import Connection, cause_of
from heddle.client.problem import checked, pause_asked_for
from heddle.errors import DownloadDamaged, HeddleError, ServerUnreachable

#: A download fails after so many interruptions without a byte between them.
INTERRUPTIONS = 5


def fetch_artifact(client: Connection, artifact: Mapping[str, Any], folder: Path) -> Path:
    """Fetch an artifact as a file of its name in the folder, unless the same file is there.

    Raises:
        DownloadDamaged: the bytes do not have the artifact's digest.
        HeddleError: its name would lead out of the folder.
    """
    target = inside(folder, str(artifact["name"]))
    digest = str(artifact["sha256"])
    if target.is_file() and _sha256(target) == digest:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    # The digest is in the name, so that the rest of an older version is never continued.
    part = target.with_name(f".{target.name}.{digest[:16]}.part")
    _stream_whole(client, f"/v1/artifacts/{digest}", part, int(artifact["bytes"]))
    got = _sha256(part)
    if got != digest:
        part.unlink()
        raise DownloadDamaged(target.name, got, digest)
    part.replace(target)
    return target


def fetch_file(
    client: Connection, path: str, target: Path, params: Mapping[str, str] | None = None
) -> Path:
    """Fetch what is served at a path into a file; an existing file is replaced in one step."""
    # Nothing is requested if the folder cannot be made.
    target.parent.mkdir(parents=True, exist_ok=True)
    _write_whole(target, client.get(path, **(params or {})).content)
    return target


def _write_whole(target: Path, content: bytes) -> None:
    """Write a file aside and rename it into place, so that nobody sees a part of it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    part.write_bytes(content)
    part.replace(target)


def _stream_whole(client: Connection, path: str, part: Path, size: int) -> None:
    """Fetch the missing bytes of a part, over a few interruptions, until it has its size."""
    if part.exists() and part.stat().st_size > size:
        part.unlink()
    part.touch()
    fruitless = 0
    while (have := part.stat().st_size) < size:
        try:
            whole = _stream_rest(client, path, part, have)
            cause = "the server is busy"
        except httpx.TransportError as error:
            whole, cause = False, cause_of(error)
        got = part.stat().st_size
        if whole and got != size:
            part.unlink()
            raise HeddleError(f"{path}: got {got} bytes, expected the {size} it is listed with")
        if whole:
            return
        fruitless = 0 if got > have else fruitless + 1
        if fruitless == INTERRUPTIONS:
            raise ServerUnreachable(client.url, cause)


def _stream_rest(client: Connection, path: str, part: Path, have: int) -> bool:
    """Append the missing bytes; False if the server is busy, after the pause that it asked for."""
    # Ranges count the bytes as stored, so the answer must not be compressed.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with client.stream(path, headers) as response:
        if (pause := pause_asked_for(response)) is not None:
            time.sleep(pause)
            return False
        if not response.is_success:
            response.read()
            checked(response)
        goes_on = response.status_code == httpx.codes.PARTIAL_CONTENT
        with part.open("ab" if goes_on else "wb") as file:
            for chunk in response.iter_bytes():
                file.write(chunk)
    return True


def unpack(content: bytes, folder: Path) -> list[Path]:
    """Write the files of a zip file into the folder; each existing one is replaced in one step.

    Raises:
        HeddleError: it is not a complete zip file, or a name in it would lead out of the folder.
            Nothing is written then.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
            files = {inside(folder, name): archive.read(name) for name in names}
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise HeddleError(f"Got {len(content)} bytes that are no whole zip file: {error}") from None
    for path, data in files.items():
        _write_whole(path, data)
    return list(files)


def inside(folder: Path, name: str) -> Path:
    """Where a file that the server names belongs in a folder.

    Raises:
        HeddleError: the name would lead out of the folder.
    """
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or "\0" in name:
        raise HeddleError(f"Got a file named {name!r}, expected a name inside its folder")
    return folder.joinpath(*parts)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
