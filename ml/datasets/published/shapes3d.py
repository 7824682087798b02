"""3D Shapes, read from `3dshapes.h5`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ml.components.registry import register
from ml.datasets._splits_of_rooms import SPLITS
from ml.datasets.protocol import OperatorPath, UnusableFile
from ml.datasets.published._grid import IMAGES_AT_ONCE, GridFile, check_grid

if TYPE_CHECKING:
    import h5py

_ROWS_AT_MOST = 32_768
_CHUNK_BYTES_AT_MOST = 512 * 2**20
_FILTERS = {1: "deflate", 2: "shuffle", 3: "fletcher32"}
"""The numbers of the HDF5 filters that are part of the library. Others are loaded as plug-ins."""


@register
class Shapes3D(GridFile):
    """3D Shapes: 480,000 colour images, 64 x 64, of a shape in a room.

    Every combination of six factors occurs once: floor_hue (10), wall_hue (10), object_hue (10),
    scale (8), shape (4), orientation (15). Orientations go from -30 to 30 degrees.

    File: `3dshapes.h5` of 267,573,662 bytes, SHA-256
    0a0f6ed98baff276a50f3a081a7434d788da63cb135a98189b2a5b5769be1785 (as TensorFlow Datasets has it;
    another file is refused), with `images` uint8 (480000, 64, 64, 3) and `labels` float64
    (480000, 6), which are checked to be the grid. Unpacked it has 5.9 GB, which are prepared once.
    Its licence is not known here. It is published at https://github.com/google-deepmind/3d-shapes.

    References:
        Burgess and Kim, 2018, https://github.com/google-deepmind/3d-shapes
        Kim and Mnih, 2018, https://arxiv.org/abs/1802.05983
        Montero et al., 2022, https://openreview.net/forum?id=7yUxTNWyQGf
    """

    version: ClassVar[int] = 1
    published: ClassVar[str] = "https://github.com/google-deepmind/3d-shapes as 3dshapes.h5"
    published_size: ClassVar[str] = "267,573,662 bytes"
    sha256: ClassVar[str | None] = (
        "0a0f6ed98baff276a50f3a081a7434d788da63cb135a98189b2a5b5769be1785"
    )
    factors: ClassVar[Mapping[str, int]] = {
        "floor_hue": 10,
        "wall_hue": 10,
        "object_hue": 10,
        "scale": 8,
        "shape": 4,
        "orientation": 15,
    }
    splits = SPLITS
    name: Literal["shapes3d"] = "shapes3d"
    path: OperatorPath = "3dshapes.h5"
    """The published file, relative to the data folder."""

    def blocks(self, file: Path) -> Iterator[NDArray[np.uint8]]:
        # h5py takes a while to import, and the catalogue need not wait for it.
        import h5py

        sizes = tuple(self.factors.values())
        count = math.prod(sizes)
        try:
            with h5py.File(file, "r") as archive:
                images = _array(file, archive, "images", (count, *self.shape), np.uint8)
                labels = _array(file, archive, "labels", (count, len(sizes)), np.float64)
                check_grid(file, labels[()], tuple(self.factors), sizes)
                # Whole chunks are read, so that each is inflated once.
                chunk = images.chunks[0] if images.chunks else 1
                at_once = min(chunk * max(1, IMAGES_AT_ONCE // chunk), _ROWS_AT_MOST)
                for start in range(0, count, at_once):
                    yield images[start : start + at_once]
        except (OSError, RuntimeError, KeyError) as damage:
            raise UnusableFile(file, f"it is damaged, or no HDF5 file ({damage})") from damage


def _array(
    file: Path,
    archive: h5py.File,
    name: str,
    shape: tuple[int, ...],
    dtype: type[np.generic],
) -> Any:
    """One array, which lies in this file itself and is of the expected type."""
    import h5py

    link = archive.get(name, getlink=True)
    if link is None:
        known = ", ".join(sorted(archive)) or "nothing"
        raise UnusableFile(file, f"expected an array {name!r}, but it holds {known}")
    if not isinstance(link, h5py.HardLink):
        raise UnusableFile(file, f"its {name!r} is a link to another place")
    found = archive[name]
    if not isinstance(found, h5py.Dataset):
        raise UnusableFile(file, f"its {name!r} is no array")
    if found.is_virtual or found.external:
        raise UnusableFile(file, f"the values of its {name!r} lie in other files")
    if found.shape != shape or found.dtype != np.dtype(dtype):
        raise UnusableFile(
            file,
            f"expected {name!r} of {np.dtype(dtype)} {shape}, but got {found.dtype} {found.shape}",
        )
    chunk = math.prod(found.chunks or ()) * found.dtype.itemsize
    if chunk > _CHUNK_BYTES_AT_MOST:
        raise UnusableFile(
            file, f"a chunk of its {name!r} has {chunk} bytes, more than {_CHUNK_BYTES_AT_MOST}"
        )
    made = found.id.get_create_plist()
    for number in (made.get_filter(at)[0] for at in range(made.get_nfilters())):
        if number not in _FILTERS:
            raise UnusableFile(
                file,
                f"its {name!r} is packed by HDF5 filter {number}, not one of"
                f" {', '.join(_FILTERS.values())}",
            )
    return found
