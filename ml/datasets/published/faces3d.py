"""3D Faces: the renders of the Basel face model by Chen et al., read from their torch file."""

from __future__ import annotations

import math
import pickle
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ml.components.registry import register
from ml.datasets.protocol import OperatorPath, UnusableFile
from ml.datasets.published._grid import IMAGES_AT_ONCE, GridFile

_OTHER_BYTES_AT_MOST = 2**20
"""How much a torch file of one array may hold beside the array's values."""


@register
class Faces3D(GridFile):
    """3D Faces: 127,050 grey renders of faces, 64 x 64.

    Every combination of four factors occurs once, in the order of the index: identity (50),
    azimuth (21), elevation (11), lighting (11).

    File: `basel_face_renders.pth`, a torch file of one uint8 array (50, 21, 11, 11, 64, 64), 520
    MB; its checksum is not known here. It is opened without running anything that it holds. Chen
    et al. may not publish it: it is made from the Basel face model, whose licence is at
    https://faces.dmi.unibas.ch/bfm.

    References:
        Chen et al., 2018, https://arxiv.org/abs/1802.04942
    """

    version: ClassVar[int] = 1
    published: ClassVar[str] = (
        "no public place, for the licence of the Basel face model"
        " (https://faces.dmi.unibas.ch/bfm) does not let the authors do so"
        " (https://github.com/rtqichen/beta-tcvae)"
    )
    published_size: ClassVar[str] = "520 MB"
    factors: ClassVar[Mapping[str, int]] = {
        "identity": 50,
        "azimuth": 21,
        "elevation": 11,
        "lighting": 11,
    }
    shape: ClassVar[tuple[int, int, int]] = (64, 64, 1)
    name: Literal["faces3d"] = "faces3d"
    path: OperatorPath = "basel_face_renders.pth"
    """The torch file, relative to the data folder."""

    def blocks(self, file: Path) -> Iterator[NDArray[np.uint8]]:
        # torch takes seconds to import, and the catalogue need not wait for it.
        import torch

        sizes = tuple(self.factors.values())
        expected = (*sizes, *self.shape[:2])
        size = math.prod(expected)
        # What is loaded is no larger than the file, and so the file is not to be larger than known.
        if not size < file.stat().st_size <= size + _OTHER_BYTES_AT_MOST:
            raise UnusableFile(
                file, f"expected {size} bytes and a header, but got {file.stat().st_size}"
            )
        try:
            # Files of before torch 1.6 are no archives and cannot be mapped.
            mapped = zipfile.is_zipfile(file)
            found = torch.load(file, map_location="cpu", weights_only=True, mmap=mapped)
        except (
            RuntimeError,
            pickle.UnpicklingError,
            EOFError,
            ValueError,
            KeyError,
            OSError,
        ) as damage:
            reason = str(damage).partition("\n")[0]
            raise UnusableFile(file, f"it is no torch file of one array ({reason})") from damage
        if not isinstance(found, torch.Tensor):
            raise UnusableFile(file, f"expected one array, but got {type(found).__name__}")
        if found.dtype != torch.uint8 or found.shape != expected:
            raise UnusableFile(
                file,
                f"expected an array of uint8 {expected},"
                f" but got {str(found.dtype).removeprefix('torch.')} {tuple(found.shape)}",
            )
        images = found.numpy().reshape(-1, *self.shape)
        for start in range(0, len(images), IMAGES_AT_ONCE):
            yield np.ascontiguousarray(images[start : start + IMAGES_AT_ONCE])
