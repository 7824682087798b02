"""The general data set: any images, with a table of factors or without."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from pydantic import Field, StringConstraints, model_validator

from ml.components.registry import register
from ml.datasets._files import sha256_of
from ml.datasets._prepared import prepared
from ml.datasets.choices import Known
from ml.datasets.dataset import Dataset
from ml.datasets.protocol import (
    DatasetComponent,
    MissingFile,
    OperatorPath,
    Progress,
    UnusableFile,
    data_folder,
    operator_file,
)
from ml.datasets.tables._pictures import resized, size_after
from ml.datasets.tables._sources import images_in
from ml.datasets.tables.importing import import_table
from ml.datasets.tables.options import Bounds, TableOptions, UnusableTable
from ml.datasets.tables.stored import About, about_stored, known_factors, open_stored

IMAGES_AT_ONCE = 1024
LISTING_SECONDS = 2.0
"""A large sweep asks for its data set's identity thousands of times within such a time."""
Digest = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
_ONLY_OF_FILES = ("factors", "kinds", "channels", "images_key", "factors_key", "index_column")


def tables_folder() -> Path:
    """The folder of all stored tables."""
    return data_folder() / "tables"


@register
class ImageTable(TableOptions, DatasetComponent):
    """Image table: any images, with a table of factors or without.

    `path` is a folder, a zip archive, or an .npz or HDF5 file of images of 16 to 128 pixels a side
    with 1 or 3 channels. `factors` is a table (.csv, .tsv, .parquet, .npz or .h5) with a column for
    each factor and a column of the images' file names; without it, a table among the images, arrays
    beside them, or the names of their folders are taken, or there are no factors. Uploaded data
    sets are image tables whose `stored` is the digest of what was understood; specs name them by
    name.

    Text and whole numbers are discrete factors, and other numbers are continuous, unless `kinds`
    says. Empty cells are unknown. Images whose factors are not all known are trained on, and left
    out of scores that need factors. Without factors, a model is trained, drawn and scored by what
    needs none.

    In the identity, a file stands as its SHA-256. A folder stands as the digest of the names, sizes
    and times of its files.
    """

    version: ClassVar[int] = 1
    name: Literal["image_table"] = "image_table"
    path: OperatorPath | None = None
    """The images, relative to the data folder."""
    factors: OperatorPath | None = None
    """The table of factors, relative to the data folder."""
    stored: Digest | None = None
    """The digest of an uploaded data set."""
    called: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    """The name of the uploaded data set. It is not part of the identity."""

    @model_validator(mode="after")
    def _one_source(self) -> ImageTable:
        if self.path is not None and self.stored is not None:
            raise ValueError("path or stored, and not both")
        if self.stored is not None:
            told = [name for name in _ONLY_OF_FILES if getattr(self, name)]
            if told:
                raise ValueError(f"no {told[0]}, which was decided when the data set was added")
        return self

    @property
    def known_as(self) -> str:
        return self.called or self.name

    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels, of the first image if the table has yet to be imported.

        Raises:
            MissingFile: there is no such file, or no such stored table.
            UnusableFile: the images cannot be used.
        """
        if self.stored is not None:
            height, width, channels = self._about().shape
            try:
                width, height = size_after(width, height, self, self.known_as)
            except UnusableTable as fault:
                raise UnusableFile(self._folder(), str(fault)) from None
            return height, width, channels
        imported = self._imported()
        if imported is not None:
            return about_stored(imported).shape
        return _first_shape(self._images_file(), self._source_digest(), self._options())

    def known_factors(self) -> Mapping[str, Known] | None:
        if self.stored is not None:
            return known_factors(self._about())
        imported = self._imported()
        return None if imported is None else known_factors(about_stored(imported))

    def identity(self) -> dict[str, Any]:
        """Parameters and version, with digests in place of paths, and without the name.

        Raises:
            MissingFile: there is no file at `path` or `factors`.
        """
        identity = super().identity()
        del identity["called"]
        if self.path is not None:
            identity["path"] = self._source_digest()
        if self.factors is not None:
            identity["factors"] = f"sha256:{sha256_of(self._table_file())}"
        return identity

    def read(self, progress: Progress | None = None) -> Dataset:
        """Open the images. The first time, those of a `path` are imported.

        Raises:
            MissingFile: there is no such file, or no such stored table.
            UnusableFile: the images or their table cannot be understood for certain.
        """
        if self.stored is None:
            return open_stored(self._import(progress), self.known_as)
        folder = self._folder()
        self._about()
        data = open_stored(folder, self.known_as)
        return data if self.resize is self.crop is None else self._resized(data, progress)

    def _resized(self, data: Dataset, progress: Progress | None) -> Dataset:
        shape = self.image_shape()
        kept = tables_folder() / f"{self.stored}-crop{self.crop}-resize{self.resize}.bytes"

        def blocks() -> Iterator[NDArray[np.uint8]]:
            scale = np.uint8(255 // data.max_value)
            for start in range(0, len(data.storage), IMAGES_AT_ONCE):
                block = np.asarray(data.storage[start : start + IMAGES_AT_ONCE]) * scale
                yield np.ascontiguousarray(resized(block, self))

        rows = prepared(kept, (len(data.storage), *shape), blocks, progress)
        return replace(data, storage=rows, image_shape=shape, max_value=255)

    def _options(self) -> TableOptions:
        return TableOptions(**{name: getattr(self, name) for name in TableOptions.model_fields})

    def _folder(self) -> Path:
        return tables_folder() / str(self.stored)

    def _about(self) -> About:
        folder = self._folder()
        try:
            return about_stored(folder)
        except FileNotFoundError:
            where = "the service that it was uploaded to; HEDDLE_DATA must be the same folder"
            raise MissingFile(folder, size="a folder", published=where) from None

    def _images_file(self) -> Path:
        if self.path is None:
            raise UnusableFile(data_folder(), "path must name the images in it")
        return _present(self.path, "a folder, or a zip, .npz or HDF5 file")

    def _table_file(self) -> Path:
        return _present(str(self.factors), "a table of factors")

    def _source_digest(self) -> str:
        file = self._images_file()
        return _listed_lately(file) if file.is_dir() else f"sha256:{sha256_of(file)}"

    def _note(self) -> Path:
        """The file that says which stored table the files at `path` became."""
        document = {
            name: value
            for name, value in self.identity().items()
            if name in ("path", "factors", "version", *TableOptions.model_fields)
        }
        digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
        return tables_folder() / f"{digest}.imported"

    def _imported(self) -> Path | None:
        note = self._note()
        try:
            folder = tables_folder() / note.read_text().strip()
            about_stored(folder)
        except FileNotFoundError:
            return None
        return folder

    def _import(self, progress: Progress | None) -> Path:
        _listing.cache_clear()  # What is imported is what lies there now.
        note = self._note()
        note.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{note}.lock"):
            imported = self._imported()
            if imported is not None:
                return imported
            table = None if self.factors is None else self._table_file()
            file = self._images_file()
            try:
                about = import_table(
                    file, table, into=tables_folder(), options=self._options(), progress=progress
                )
            except UnusableTable as faults:
                raise UnusableFile(file, str(faults)) from None
            aside = note.with_suffix(".part")
            aside.write_text(about.digest)
            aside.replace(note)
        return tables_folder() / about.digest


def _present(path: str, size: str) -> Path:
    file = operator_file(path)
    if not file.exists():
        raise MissingFile(file, size=size, published="no place: it is your own data")
    return file


def _listed_lately(folder: Path) -> str:
    """The digest of a folder's listing, as it was in the last few seconds."""
    return _listing(folder, int(time.monotonic() / LISTING_SECONDS))


@lru_cache(maxsize=64)
def _listing(folder: Path, _when: int) -> str:
    """The digest of the names, sizes and times of all files below a folder."""
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not file.is_symlink():
            status = file.stat()
            name = file.relative_to(folder).as_posix()
            digest.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    return f"listing:{digest.hexdigest()}"


@lru_cache(maxsize=64)
def _shape_of_version(file: Path, _digest: str, options: str) -> tuple[int, int, int]:
    try:
        with images_in(file, TableOptions.model_validate_json(options), Bounds()) as images:
            return images.shape
    except UnusableTable as faults:
        raise UnusableFile(file, str(faults)) from None


def _first_shape(file: Path, digest: str, options: TableOptions) -> tuple[int, int, int]:
    return _shape_of_version(file, digest, options.model_dump_json())
