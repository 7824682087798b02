"""The folder of uploaded data sets: a folder for each, named by the digest of what it holds."""

from __future__ import annotations

import re
from pathlib import Path

from store.errors import BadName
from store.files.folders import MarkedFolder

TABLES = "tables"
"""Its name in the data folder."""

_DIGEST = re.compile(r"[0-9a-f]{64}")


class DatasetFolder(MarkedFolder):
    """A folder of data sets at `<data folder>/tables/<digest>`."""

    kind = "data"
    noun = "folder of uploaded data sets"

    @classmethod
    def below(cls, data: Path) -> DatasetFolder:
        """The folder of uploaded data sets in a data folder."""
        return cls(data / TABLES)

    def path(self, digest: str) -> Path:
        """Where the data set with this digest lies, or would lie.

        Raises:
            BadName: if it is not 64 hexadecimal digits in lower case.
        """
        if _DIGEST.fullmatch(digest) is None:
            raise BadName("a digest as 64 hexadecimal digits in lower case", digest)
        return self.root / digest
