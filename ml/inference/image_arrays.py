"""Reading images from an npz file that is not trusted."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Float, Shaped

from ml.codes.found_arrays import UnusableArrays
from ml.codes.npz_members import OtherSize, open_npz, read_member, unreadable
from ml.components.registry import nearest
from ml.components.spec_errors import Fault, InvalidSpec, shown

NAME = "images"
LONGEST_SIDE = 4096
MOST_CHANNELS = 16
MOST_BYTES = 128 << 20
"""Largest size of the array, uncompressed."""

_SHAPE = "(samples, height, width) or (samples, height, width, channels)"
_DTYPES = "uint8 from 0 to 255, bool, or floats in [0, 1]"


def read_images(
    file: BinaryIO,
    most_images: int,
    *,
    most_bytes: int = MOST_BYTES,
    check: Callable[[tuple[int, ...]], None] | None = None,
) -> Shaped[np.ndarray, "samples height width channels"]:
    """The file's array `images`, with an axis of channels added if it has none.

    Nothing is unpickled. Shape and dtype that the file declares are checked before memory is
    allocated.

    Args:
        file: a seekable binary file, as written by `numpy.savez` or `savez_compressed`.
        most_images: largest number of images.
        most_bytes: largest size of the array, uncompressed.
        check: called with the shape before the array is read; it may raise `InvalidSpec`.

    Raises:
        UnusableArrays: the file is not such an npz file, or the array is missing, too large, or of
            another dtype or shape.
    """

    def check_header(shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        _check_header(shape, dtype, most_images, most_bytes)
        if check is not None:
            check(shape if len(shape) == 4 else (*shape, 1))

    try:
        with open_npz(file) as archive:
            array: np.ndarray = read_member(archive, _only_member(archive), check_header)
    except (UnusableArrays, InvalidSpec):
        raise
    except OtherSize as error:
        expected = f"{error.declared}, as its header says"
        raise UnusableArrays([Fault(NAME, f"{error.held} bytes", expected)]) from None
    except Exception as error:
        # On malformed files, zipfile, zlib and numpy's header parser raise a dozen types of error.
        reason = str(error) or type(error).__name__
        expected = "a whole npz file, as numpy.savez writes it"
        raise UnusableArrays([Fault("", shown(reason), expected)]) from None
    return array if array.ndim == 4 else array[..., None]


def as_unit_range(
    images: Shaped[np.ndarray, "samples height width channels"], max_value: int
) -> Float[np.ndarray, "samples height width channels"]:
    """Images of any dtype that `read_images` takes, as float32 in [0, 1].

    `max_value` is the value of a white pixel in the data set's own bytes.

    Raises:
        UnusableArrays: a floating-point pixel is NaN or outside of [0, 1]; or the images are bytes
            of 0 and 1, like the data set's own, where a white pixel would come out nearly black.
    """
    if images.dtype.kind == "b":
        return images.astype(np.float32)
    if images.dtype.kind == "u":
        if max_value == 1 and images.max() == 1:
            expected = "bytes from 0 to 255: multiply by 255, or send bool or floats"
            raise UnusableArrays([Fault(NAME, "bytes of 0 and 1", expected)])
        return images.astype(np.float32) / np.float32(255)
    inside = (images >= 0) & (images <= 1)
    if not inside.all():
        image, *place = map(int, np.unravel_index(int(inside.argmin()), images.shape))
        got = f"{images[(image, *place)]} in image {image}"
        raise UnusableArrays([Fault(NAME, got, "numbers in [0, 1]")])
    return images.astype(np.float32)


def _only_member(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = archive.infolist()
    for info in members:
        if info.filename != f"{NAME}.npy":
            hint = nearest(info.filename.removesuffix(".npy"), [NAME])
            expected = f"the array {NAME} alone"
            raise UnusableArrays(
                [Fault(shown(info.filename.removesuffix(".npy")), None, expected, hint)]
            )
    if len(members) != 1:
        raise UnusableArrays([Fault(NAME, f"{len(members)} arrays", "one array: it is required")])
    if (unread := unreadable(members[0])) is not None:
        raise UnusableArrays([Fault(NAME, *unread)])
    return members[0]


def _check_header(
    shape: tuple[int, ...], dtype: np.dtype[Any], most_images: int, most_bytes: int
) -> None:
    floats = dtype.kind == "f" and dtype.itemsize <= 8
    taken = dtype == np.uint8 or dtype.kind == "b" or floats
    if not taken:
        raise UnusableArrays([Fault(NAME, shown(f"dtype {dtype.name}"), _DTYPES)])
    most = (most_images, LONGEST_SIDE, LONGEST_SIDE, MOST_CHANNELS)
    if len(shape) not in (3, 4) or not all(
        0 < length <= bound for length, bound in zip(shape, most, strict=False)
    ):
        bounds = " x ".join(f"{bound:,}" for bound in most)
        expected = f"the shape {_SHAPE}, from 1 to {bounds}"
        raise UnusableArrays([Fault(NAME, shown(list(shape)), expected)])
    if (declared := math.prod(shape) * dtype.itemsize) > most_bytes:
        expected = f"at most {most_bytes:,} bytes: send fewer images, or a smaller dtype"
        raise UnusableArrays([Fault(NAME, f"{declared:,} bytes", expected)])
