"""CelebA, read from its aligned photographs and its table of attributes."""

from __future__ import annotations

import hashlib
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ml.components.registry import register
from ml.datasets._prepared import digest_of, prepared
from ml.datasets.dataset import Dataset
from ml.datasets.protocol import (
    MissingFile,
    OperatorPath,
    Progress,
    UnusableFile,
    operator_file,
)
from ml.datasets.published._published import PublishedData, checked_sha256
from ml.datasets.published._renders import in_threads, listing_digest, picture

_ARCHIVE, _FOLDER, _TABLE = "img_align_celeba.zip", "img_align_celeba", "list_attr_celeba.txt"
_IMAGE = re.compile(r"\d{6}\.jpg")
_WIDTH, _HEIGHT, _CROP = 178, 218, 148
_PICTURE_BYTES_AT_MOST = 2**20
_READ_AT_ONCE = 4096
_LINE_CHARACTERS_AT_MOST = 2000


@register
class CelebA(PublishedData):
    """CelebA: 202,599 colour photographs of faces with 40 attributes, reduced to 64 x 64.

    The factors are 40 attributes, each 0 (no) or 1 (yes), with the names that the table has. They
    are no grid. Published are 5_o_Clock_Shadow, Arched_Eyebrows, Attractive, Bags_Under_Eyes, Bald,
    Bangs, Big_Lips, Big_Nose, Black_Hair, Blond_Hair, Blurry, Brown_Hair, Bushy_Eyebrows, Chubby,
    Double_Chin, Eyeglasses, Goatee, Gray_Hair, Heavy_Makeup, High_Cheekbones, Male,
    Mouth_Slightly_Open, Mustache, Narrow_Eyes, No_Beard, Oval_Face, Pale_Skin, Pointy_Nose,
    Receding_Hairline, Rosy_Cheeks, Sideburns, Smiling, Straight_Hair, Wavy_Hair, Wearing_Earrings,
    Wearing_Hat, Wearing_Lipstick, Wearing_Necklace, Wearing_Necktie and Young.

    The aligned photographs of 178 x 218 pixels are cut to the 148 x 148 in their middle, as much
    published code does, and reduced to 64 x 64 by Lanczos interpolation.

    Files in the folder `path`: `img_align_celeba.zip` (1,443,490,838 bytes), or the folder
    `img_align_celeba` of it, and `list_attr_celeba.txt` (26,721,026 bytes). Files with other
    checksums than those in TensorFlow Datasets are refused. Licence: for non-commercial research
    only, not to be passed on. It is published at
    http://mmlab.ie.cuhk.edu.hk/projects/CelebA.html. `Dataset.source` is the SHA-256 of the
    prepared images.

    References:
        Liu et al., 2015, https://arxiv.org/abs/1411.7766
    """

    version: ClassVar[int] = 1
    grid: ClassVar[bool | None] = False
    published: ClassVar[str] = "http://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
    published_size: ClassVar[str] = "1,443,490,838 bytes"
    photographs: ClassVar[int] = 202_599
    attributes: ClassVar[int] = 40
    archive_sha256: ClassVar[str | None] = (
        "46fb89443c578308acf364d7d379fe1b9efb793042c0af734b6112e4fd3a8c74"
    )
    table_sha256: ClassVar[str | None] = (
        "f0e5da289d5ccf75ffe8811132694922b60f2af59256ed362afa03fefba324d0"
    )
    name: Literal["celeba"] = "celeba"
    path: OperatorPath = "celeba"
    """The folder of the archive (or of the unpacked one) and the table, relative to the data
    folder."""

    def image_shape(self) -> tuple[int, int, int]:
        return 64, 64, 3

    def digest(self) -> str:
        pictures, table = self._found()
        known = (
            checked_sha256(pictures, self.archive_sha256)
            if pictures.is_file()
            else listing_digest(pictures, _IMAGE)
        )
        table_sha256 = checked_sha256(table, self.table_sha256)
        return hashlib.sha256(f"{known} {table_sha256}".encode()).hexdigest()

    def read(self, progress: Progress | None = None) -> Dataset:
        pictures, table = self._found()
        kept = self.kept(self.digest())
        names, attributes, labels = self._attributes(table)
        rows = prepared(
            kept,
            (self.photographs, *self.image_shape()),
            lambda: self._blocks(pictures, names),
            progress,
        )
        return Dataset(
            name=self.name,
            storage=rows,
            image_shape=self.image_shape(),
            factor_names=tuple(attributes),
            factor_sizes=(2,) * len(attributes),
            factor_values=dict.fromkeys(attributes, ("no", "yes")),
            labels=labels,
            source=digest_of(kept),
        )

    def _found(self) -> tuple[Path, Path]:
        """The archive or else the folder of photographs, and the table."""
        folder = operator_file(self.path)
        table = folder / _TABLE
        if not table.is_file():
            raise MissingFile(
                table, size="26,721,026 bytes", published=self.published, sha256=self.table_sha256
            )
        archive = folder / _ARCHIVE
        pictures = archive if archive.is_file() else folder / _FOLDER
        if pictures != archive and not pictures.is_dir():
            raise MissingFile(
                archive,
                size=self.published_size,
                published=self.published,
                sha256=self.archive_sha256,
            )
        return pictures, table

    def _attributes(self, table: Path) -> tuple[list[str], list[str], NDArray[np.int64]]:
        """The names of the photographs, those of the attributes, and 0 or 1 for each of both."""
        labels = np.empty((self.photographs, self.attributes), dtype=np.int64)
        names: list[str] = []
        with table.open(encoding="ascii", errors="replace") as lines:
            count = lines.readline(_LINE_CHARACTERS_AT_MOST).strip()
            if count != str(self.photographs):
                raise UnusableFile(
                    table, f"expected {self.photographs} in its first line, but got {count[:80]!r}"
                )
            attributes = lines.readline(_LINE_CHARACTERS_AT_MOST).split()
            if len(set(attributes)) != self.attributes or len(attributes) != self.attributes:
                raise UnusableFile(
                    table,
                    f"expected {self.attributes} different attributes, but got {len(attributes)}",
                )
            while line := lines.readline(_LINE_CHARACTERS_AT_MOST):
                name, *values = line.split() or [""]
                at = len(names)
                if at == self.photographs:
                    raise UnusableFile(
                        table, f"it goes on after its {self.photographs} photographs"
                    )
                if not _IMAGE.fullmatch(name):
                    raise UnusableFile(
                        table, f"expected the name of a photograph, but got {name[:80]!r}"
                    )
                if len(values) != self.attributes or not set(values) <= {"-1", "1"}:
                    raise UnusableFile(
                        table, f"expected {self.attributes} values of -1 and 1 for {name}"
                    )
                labels[at] = [value == "1" for value in values]
                names.append(name)
        if len(names) != self.photographs or len(set(names)) != self.photographs:
            raise UnusableFile(
                table,
                f"expected {self.photographs} photographs, but got {len(names)},"
                f" of which {len(set(names))} differ",
            )
        return names, attributes, labels

    def _blocks(self, pictures: Path, names: Sequence[str]) -> Iterator[NDArray[np.uint8]]:
        if pictures.is_dir():
            yield from in_threads(
                names, lambda name: picture(_of_folder(pictures, name), name, "JPEG", _middle)
            )
        else:
            yield from _of_archive(pictures, names)


def _of_folder(folder: Path, name: str) -> Path:
    file = folder / name
    if file.is_symlink() or not file.is_file():
        raise UnusableFile(folder, f"expected a photograph {name}, but there is none")
    return file


def _of_archive(file: Path, names: Sequence[str]) -> Iterator[NDArray[np.uint8]]:
    """The photographs of an archive, which is never unpacked to disk."""
    try:
        with zipfile.ZipFile(file) as archive:
            members = {member.filename: member for member in archive.infolist()}
            for path in members:
                if path.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", path):
                    raise UnusableFile(file, f"it holds {path[:80]!r}, which leads out of it")
            for start in range(0, len(names), _READ_AT_ONCE):
                contents = [
                    (name, _member(file, archive, members, f"{_FOLDER}/{name}"))
                    for name in names[start : start + _READ_AT_ONCE]
                ]
                yield from in_threads(
                    contents, lambda one: picture(file, one[0], "JPEG", _middle, one[1])
                )
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as damage:
        raise UnusableFile(file, f"it is damaged, or no .zip archive ({damage})") from damage


def _member(
    file: Path, archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], path: str
) -> bytes:
    member = members.get(path)
    if member is None:
        raise UnusableFile(file, f"expected a photograph {path}, but there is none")
    if member.flag_bits & 1:
        raise UnusableFile(file, f"{path} is encrypted")
    if member.file_size > _PICTURE_BYTES_AT_MOST:
        raise UnusableFile(
            file, f"{path} has {member.file_size} bytes, more than {_PICTURE_BYTES_AT_MOST}"
        )
    return archive.read(member)


def _middle(size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    if size != (_WIDTH, _HEIGHT):
        return None
    left, top = (_WIDTH - _CROP) // 2, (_HEIGHT - _CROP) // 2
    return left, top, left + _CROP, top + _CROP
