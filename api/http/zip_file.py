"""Files as one zip file, the same bytes for the same files."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest moment that a zip file can hold."""
PACKED = (".json", ".md", ".py")
"""Text; pictures and weights hardly become smaller."""
READABLE_BY_ALL = 0o644


def zip_file(files: Mapping[str, bytes]) -> bytes:
    """The files by name as a zip file: sorted, with one date, made on no system in particular."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, date_time=EPOCH)
            entry.create_system = 3  # Unix, whose rights follow.
            entry.external_attr = READABLE_BY_ALL << 16
            entry.compress_type = (
                zipfile.ZIP_DEFLATED if name.endswith(PACKED) else zipfile.ZIP_STORED
            )
            archive.writestr(entry, files[name])
    return content.getvalue()
