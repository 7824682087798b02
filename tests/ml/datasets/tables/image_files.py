"""Small images in the forms that people keep them in."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 16


def picture(number: int, channels: int = 3, side: int = SIDE) -> np.ndarray:
    """An image of noise that only this number has: (side, side, channels)."""
    shape = (side, side, channels)
    return np.random.default_rng(number).integers(0, 256, shape, dtype=np.uint8)


def png(image: np.ndarray, format: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(file, format)
    return file.getvalue()


def folder_of(folder: Path, names: Iterable[str], channels: int = 3) -> Path:
    """A folder of PNGs, the k-th of which shows picture k."""
    for k, name in enumerate(names):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png(picture(k, channels)))
    return folder


def zip_of(file: Path, content: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return file


def csv_of(file: Path, rows: Sequence[Sequence[object]]) -> Path:
    with file.open("w", newline="") as opened:
        csv.writer(opened).writerows(rows)
    return file
