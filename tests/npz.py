"""Files of codes and factors for tests, good and bad."""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
from typing import Any

import numpy as np

CODES = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
FACTORS = np.stack(np.unravel_index(np.arange(60), (3, 4, 5)), axis=1)[:, :2]
GOOD: dict[str, Any] = {"codes": CODES, "factors": FACTORS}


def npz(*, compressed: bool = True, **arrays: Any) -> bytes:
    """A file of 60 rows, with these arrays in place of or beside the good ones; None leaves out."""
    held = {name: array for name, array in (GOOD | arrays).items() if array is not None}
    file = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(file, **held)
    return file.getvalue()


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def zipped(*members: tuple[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of these members, duplicates and all."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of duplicates
        for name, data in members:
            archive.writestr(name, data)
    return file.getvalue()


def good_members() -> list[tuple[str, bytes]]:
    return [(f"{name}.npy", npy(array)) for name, array in GOOD.items()]


def declaring(header: str, data: bytes = b"") -> bytes:
    """An npy of version 1.0 with a made-up header."""
    text = header.encode("latin-1") + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def with_codes(data: bytes, **options: Any) -> bytes:
    """A file whose codes are these bytes, whatever they are."""
    return zipped(("codes.npy", data), ("factors.npy", npy(FACTORS)), **options)


def encrypted() -> bytes:
    """A file whose members say that they are encrypted."""
    data = bytearray(zipped(*good_members()))
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(signature)
        while at >= 0:
            data[at + place] |= 1
            at = data.find(signature, at + 1)
    return bytes(data)


def understated() -> bytes:
    """A file whose first member inflates to more than the directory says."""
    data = bytearray(with_codes(npy(np.zeros((60, 3)))))
    at = data.find(b"PK\x01\x02") + 24
    (size,) = struct.unpack_from("<I", data, at)
    struct.pack_into("<I", data, at, size - 8)
    return bytes(data)


def bomb(declared: int) -> bytes:
    """A file of a thousand bytes whose directory says that its codes inflate to this many."""
    data = bytearray(with_codes(npy(CODES)))
    struct.pack_into("<I", data, data.find(b"PK\x01\x02") + 24, declared)
    return bytes(data)


def endless_directory() -> bytes:
    """A file whose directory of members is of 2 MB."""
    return zipped(*good_members(), *((f"{number:0>60000}", b"") for number in range(40)))
