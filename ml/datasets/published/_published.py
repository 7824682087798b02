"""What readers of published files share: where the files lie, their checksums and identities."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from ml.datasets._files import md5_of, sha256_of
from ml.datasets.choices import Known
from ml.datasets.protocol import (
    DatasetComponent,
    MissingFile,
    OperatorPath,
    UnusableFile,
    data_folder,
    operator_file,
)


class PublishedData(DatasetComponent):
    """A data set that is read from what the operator put at `path`."""

    path: OperatorPath
    published: ClassVar[str]
    """Where the data were published."""
    published_size: ClassVar[str]
    """How large the published files are, in words."""
    factors: ClassVar[Mapping[str, int]] = {}
    """How many values each factor has, if this is known before the files are opened."""
    names_of_values: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """What the values of factors are called, if they have names."""

    @abstractmethod
    def digest(self) -> str:
        """A SHA-256 that names the files at `path`.

        Raises:
            MissingFile, UnusableFile: a file is not there, or cannot be read.
        """

    def kept(self, digest: str, form: str = "") -> Path:
        """Where the prepared images of these files are kept. `form` names one of several forms."""
        return data_folder() / f"{self.component_name()}-v{self.version}{form}-{digest}.bytes"

    def known_factors(self) -> Mapping[str, Known] | None:
        named = self.names_of_values
        return {
            name: Known(size, values=named.get(name, ())) for name, size in self.factors.items()
        } or None

    def identity(self) -> dict[str, Any]:
        """Parameters and version, with the digest of the files in place of their path.

        Raises:
            MissingFile, UnusableFile: as `digest`.
        """
        return {**super().identity(), "path": f"sha256:{self.digest()}"}


class PublishedFile(PublishedData):
    """A data set that is read from one file."""

    sha256: ClassVar[str | None] = None
    """The SHA-256 of the published file, if it is known. Another file is refused at once."""
    md5: ClassVar[str | None] = None
    """The MD5 of the published file, if no more is known. It is compared before it is prepared."""

    def file(self) -> Path:
        """The operator's file.

        Raises:
            MissingFile: there is none.
        """
        file = operator_file(self.path)
        if not file.is_file():
            raise MissingFile(
                file,
                size=self.published_size,
                published=self.published,
                sha256=self.sha256,
                md5=self.md5,
            )
        return file

    def digest(self) -> str:
        return checked_sha256(self.file(), self.sha256)


class PublishedFiles(PublishedData):
    """A data set that is read from several files of one folder, packed as `.gz` or unpacked."""

    files: ClassVar[Mapping[str, str | None]]
    """The name of each packed file, with its SHA-256 if it is known. An unpacked one has none."""

    def found(self) -> dict[str, Path]:
        """The operator's files by the names in `files`. A packed file goes before an unpacked one.

        Raises:
            MissingFile: a file is in the folder neither packed nor unpacked.
        """
        found = {}
        for name, sha256 in self.files.items():
            packed = operator_file(self.path) / name
            file = packed if packed.is_file() else packed.with_name(name.removesuffix(".gz"))
            if not file.is_file():
                raise MissingFile(
                    packed, size=self.published_size, published=self.published, sha256=sha256
                )
            found[name] = file
        return found

    def digest(self) -> str:
        lines = [
            f"{name} {checked_sha256(file, self.files[name] if file.name == name else None)}\n"
            for name, file in sorted(self.found().items())
        ]
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def checked_sha256(file: Path, expected: str | None) -> str:
    """The file's SHA-256, which must be the published one if that is known.

    Raises:
        UnusableFile: it is another one.
    """
    found = sha256_of(file)
    if expected is not None and found != expected:
        raise UnusableFile(
            file,
            f"expected the published file with sha256 {expected}, but got {found} of"
            f" {file.stat().st_size} bytes. It may be damaged, cut short, or packed again",
        )
    return found


def check_md5(file: Path, expected: str | None) -> None:
    """Raise `UnusableFile` if the file's MD5 is not the published one. None means unknown."""
    if expected is not None and md5_of(file) != expected:
        raise UnusableFile(
            file,
            f"expected the published file with md5 {expected}, but got {md5_of(file)}. It may be"
            " damaged, cut short, or packed again",
        )
