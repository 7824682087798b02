"""Zip files of the server unpacked: nothing of them lands outside the folder."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

from heddle.download import inside
from heddle.errors import HeddleError


def unpack(content: bytes, folder: Path) -> list[Path]:
    """The files of a zip file, written into the folder; existing ones are replaced, each at once.

    Raises:
        HeddleError: it is no whole zip file, or a name in it would lead out of the folder; nothing
            is written then.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
            files = {inside(folder, name): archive.read(name) for name in names}
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise HeddleError(f"Got {len(content)} bytes that are no whole zip file: {error}") from None
    for path, data in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        part.write_bytes(data)
        part.replace(path)
    return list(files)
