"""From images and a table, as they come, to the stored form that is opened for training."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import dtype_to_descr, write_array_header_1_0
from numpy.typing import NDArray

from ml.components.spec_errors import shown
from ml.datasets.dataset import UNKNOWN
from ml.datasets.protocol import Progress
from ml.datasets.tables import _columns, _factors, _matching
from ml.datasets.tables._factors import Factor
from ml.datasets.tables._sources import NAMED, Source, images_in
from ml.datasets.tables.options import (
    LARGEST_SIDE,
    SMALLEST_SIDE,
    Bounds,
    TableOptions,
    unusable,
)
from ml.datasets.tables.stored import (
    ABOUT,
    FACTORS,
    FORMAT,
    IMAGES,
    MOST_LISTED,
    About,
    AboutFactor,
    about_stored,
)

ASIDE = ".part-"
ABANDONED_SECONDS = 24 * 3600.0
"""A folder of an import that was killed is removed by the first import after this time."""
FEWEST_IMAGES = 2


def understood(
    source: Path,
    factors: Path | None = None,
    *,
    options: TableOptions | None = None,
    bounds: Bounds | None = None,
    progress: Progress | None = None,
) -> About:
    """What `import_table` would understand. Everything is read, and nothing is stored.

    Raises:
        UnusableTable: as `import_table`.
    """
    return _read(source, factors, None, options or TableOptions(), bounds or Bounds(), progress)


def import_table(
    source: Path,
    factors: Path | None = None,
    *,
    into: Path,
    options: TableOptions | None = None,
    bounds: Bounds | None = None,
    progress: Progress | None = None,
) -> About:
    """Read images and their factors, and keep them in `into/<digest>`.

    Nothing is kept if anything is wrong, if `progress` raises, or if the process is killed. Equal
    images with equal factors have the same digest, whatever files they came in.

    Args:
        source: a folder, a zip archive, or an .npz or HDF5 file of images.
        factors: a table in .csv, .tsv, .parquet, .npz or .h5. Without it, the table among the
            images is taken, or the arrays beside them, or the names of their folders, or nothing.
        into: the folder of all stored tables.
        options: how the images and the table are understood.
        bounds: the most that is read and stored.
        progress: called after each block of images. If it raises, the import stops.

    Raises:
        UnusableTable: something cannot be understood for certain; its `faults` say what.
    """
    options, bounds = options or TableOptions(), bounds or Bounds()
    into.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(into)
    aside = Path(tempfile.mkdtemp(prefix=ASIDE, dir=into))
    aside.chmod(0o755)  # Workers may run as other users.
    try:
        about = _read(source, factors, aside, options, bounds, progress)
        whole = into / about.digest
        try:
            aside.rename(whole)
        except OSError:
            # The same table is there already, unless what is there cannot be used.
            return about_stored(whole)
        _sync(into)
        return about
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _remove_abandoned(into: Path) -> None:
    for one in into.glob(f"{ASIDE}*"):
        try:
            if time.time() - one.stat().st_mtime > ABANDONED_SECONDS:
                shutil.rmtree(one, ignore_errors=True)
        except FileNotFoundError:
            continue


def _read(
    source: Path,
    factors: Path | None,
    aside: Path | None,
    options: TableOptions,
    bounds: Bounds,
    progress: Progress | None,
) -> About:
    with images_in(source, options, bounds) as images:
        _check_shape(images, bounds)
        matched = _table_of(images, factors, options, bounds)
        found = _factors.understood(matched.columns if matched else {}, options.kinds)
        pixels = _Pixels(images.count)
        _store_images(images, aside, pixels, progress)
    labels, labelled = _labels(found.factors, images.count)
    sizes = [one.size for one in found.factors]
    values = {one.name: one.names for one in found.factors if one.names}
    document: dict[str, Any] = {
        "format": FORMAT,
        "shape": [images.count, *images.shape],
        "images": pixels.sha256.hexdigest(),
        "factors": [[one.name, one.kind] for one in found.factors],
        "sizes": sizes,
        "values": values,
        "labels": hashlib.sha256(np.ascontiguousarray(labels).data).hexdigest(),
    }
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    taken = [*images.taken, *(matched.taken if matched else ()), *found.taken]
    odd = [*images.odd, *(matched.odd if matched else ()), *found.odd, *pixels.odd()]
    if pixels.highest == 1:
        taken.append("no pixel has more than 1, so 1 was taken for white")
    if found.factors and not labelled:
        odd.append("no image has all its factors, so there are no scores that need factors")
    about = About(
        digest=digest,
        images=images.count,
        shape=images.shape,
        bytes=images.count * math.prod(images.shape),
        white=1 if pixels.highest == 1 else 255,
        factors=[_about_factor(one) for one in found.factors],
        labelled=labelled,
        grid=_is_grid(found.factors, labels),
        taken=taken,
        odd=odd,
    )
    if aside is not None:
        np.savez(
            aside / FACTORS,
            labels=labels,
            sizes=np.array(sizes, dtype=np.int64),
            values=np.array(json.dumps(values)),
        )
        (aside / ABOUT).write_text(about.model_dump_json(indent=2))
        for one in (*aside.iterdir(), aside):
            _sync(one)
    return about


def _check_shape(images: Source, bounds: Bounds) -> None:
    height, width, _ = images.shape
    if images.count < FEWEST_IMAGES:
        raise unusable("file", f"{images.count} images", f"at least {FEWEST_IMAGES}")
    if not all(SMALLEST_SIDE <= side <= LARGEST_SIDE for side in (height, width)):
        expected = f"{SMALLEST_SIDE} to {LARGEST_SIDE} pixels a side; see the options crop, resize"
        raise unusable("file", f"images of {width} x {height}", expected)
    size = images.count * math.prod(images.shape)
    if size > bounds.stored_bytes:
        raise unusable("file", f"images of {size} bytes", f"at most {bounds.stored_bytes} bytes")


def _table_of(
    images: Source, factors: Path | None, options: TableOptions, bounds: Bounds
) -> _matching.Matched | None:
    """The table's columns in the order of the images, or None if there are no factors."""
    if factors is not None:
        columns = _columns.read_columns(factors, options, bounds)
    elif len(images.tables) > 1:
        got = ", ".join(map(shown, list(images.tables)[:NAMED]))
        raise unusable("factors", got, "one table among the images, or the one that is meant")
    elif images.tables:
        [(name, read)] = images.tables.items()
        columns = _columns.of_bytes(name, read(), bounds)
        columns.taken.append(f"factors: the table {name} among the images")
    elif images.names is not None:
        return _matching.of_folders(images.names)
    else:
        of_file = _columns.of_arrays(images.arrays, images.count, options, bounds)
        if of_file is None:
            return None
        columns = of_file
    return _matching.matched(
        columns, images.names, images.count, options.index_column, folder=images.folder
    )


class _Pixels:
    """What is learned of the pixels while they go by."""

    def __init__(self, count: int) -> None:
        self.sha256 = hashlib.sha256()
        self.highest = 0
        self._seen = np.empty(count, dtype=np.uint64)
        self._plain, self._done = 0, 0

    def add(self, block: NDArray[np.uint8]) -> None:
        self.sha256.update(block.data)
        self.highest = max(self.highest, int(block.max()))
        flat = block.reshape(len(block), -1)
        self._plain += int((flat.min(axis=1) == flat.max(axis=1)).sum())
        for k, one in enumerate(flat):
            digest = blake2b(one.data, digest_size=8).digest()
            self._seen[self._done + k] = int.from_bytes(digest, "little")
        self._done += len(block)

    def odd(self) -> list[str]:
        found = []
        if again := self._done - len(np.unique(self._seen[: self._done])):
            found.append(f"{again} images have the same pixels as an earlier one")
        if self._plain:
            found.append(f"{self._plain} images have a single colour")
        return found


def _store_images(
    images: Source, aside: Path | None, pixels: _Pixels, progress: Progress | None
) -> None:
    """Write the images, if there is a folder for them, and look at them in any case."""
    done = 0
    with _written(aside, (images.count, *images.shape)) as write:
        for block in images.blocks():
            block = np.ascontiguousarray(block)
            pixels.add(block)
            write(block)
            done += len(block)
            if progress is not None:
                progress(done, images.count)
    if done != images.count:
        raise unusable("file", f"{done} images", f"{images.count} images, as it declares")


@contextmanager
def _written(aside: Path | None, shape: tuple[int, ...]) -> Iterator[Any]:
    if aside is None:
        yield lambda _: None
        return
    # A full disk raises here. Through a mapped file it would kill the process.
    with (aside / IMAGES).open("wb") as file:
        form = {"descr": dtype_to_descr(np.dtype(np.uint8)), "fortran_order": False, "shape": shape}
        write_array_header_1_0(file, form)
        yield lambda block: file.write(block.data)


def _labels(factors: Sequence[Factor], count: int) -> tuple[NDArray[Any], int]:
    """The labels (images, factors), and how many images have all of them."""
    if not factors:
        return np.empty((count, 0), dtype=np.int64), 0
    known = np.ones(count, dtype=bool)
    for one in factors:
        known &= (one.values != UNKNOWN) if one.kind == "discrete" else ~np.isnan(one.values)
    labels = np.stack([one.values for one in factors], axis=1)
    return labels, int(known.sum())


def _is_grid(factors: Sequence[Factor], labels: NDArray[Any]) -> bool:
    sizes = tuple(one.size for one in factors)
    if not factors or labels.dtype.kind == "f" or math.prod(sizes) != len(labels):
        return False
    grid = np.stack(np.unravel_index(np.arange(len(labels)), sizes), axis=1)
    return np.array_equal(grid, labels)


def _about_factor(one: Factor) -> AboutFactor:
    discrete = one.kind == "discrete"
    unknown = (one.values == UNKNOWN) if discrete else np.isnan(one.values)
    return AboutFactor(
        name=one.name,
        kind=one.kind,
        size=one.size if discrete else None,
        values=list(one.names[:MOST_LISTED]) or None,
        unknown=int(unknown.sum()),
    )


def _sync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
