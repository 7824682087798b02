"""Image files as arrays of bytes, decoded by Pillow within bounds."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ml.components.spec_errors import shown
from ml.datasets.tables.options import Bounds, Sizing, damage_as_fault, unusable

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "GIF", "TIFF", "PPM")
GREY, COLOUR = ("1", "L", "LA", "La"), ("P", "RGB", "RGBA", "RGBa", "CMYK", "YCbCr", "PA", "RGBX")
_ORIENTATION = 0x0112


class Header(NamedTuple):
    """What an image's file declares."""

    width: int
    height: int
    channels: int
    transparent: bool


def header(data: bytes, name: str, bounds: Bounds) -> Header:
    """Size and channels of an image, without decoding its pixels."""
    with _opened(data, name, bounds) as image:
        width, height = image.size
        with damage_as_fault(f"file.{shown(name)}", "a whole image"):
            orientation = image.getexif().get(_ORIENTATION)
        if orientation in (5, 6, 7, 8):
            width, height = height, width
        transparent = "A" in image.mode or "a" in image.mode or "transparency" in image.info
        return Header(width, height, 1 if image.mode in GREY else 3, transparent)


def pixels(
    data: bytes, name: str, channels: int, sizing: Sizing, bounds: Bounds
) -> NDArray[np.uint8]:
    """One image as (h, w, channels), turned upright, over black where it is transparent."""
    from PIL import Image, ImageOps

    with (
        _opened(data, name, bounds) as image,
        damage_as_fault(f"file.{shown(name)}", "a whole image"),
    ):
        upright = ImageOps.exif_transpose(image)
        if "A" in upright.mode or "a" in upright.mode or "transparency" in upright.info:
            colour = upright.convert("RGBA")
            black = Image.new("RGBA", colour.size, (0, 0, 0, 255))
            upright = Image.alpha_composite(black, colour).convert("RGB")
        found = upright.convert("L" if channels == 1 else "RGB")
    array: NDArray[np.uint8] = np.asarray(_sized(found, name, sizing), dtype=np.uint8)
    return array[:, :, None] if array.ndim == 2 else array


def resized(images: NDArray[np.uint8], sizing: Sizing) -> NDArray[np.uint8]:
    """Images (n, h, w, c) of 0 to 255, cropped and resized."""
    from PIL import Image

    if sizing.crop is None and sizing.resize is None:
        return images
    grey = images.shape[3] == 1
    found = []
    for one in images:
        image = Image.fromarray(one[:, :, 0] if grey else one)
        found.append(np.asarray(_sized(image, "images", sizing), dtype=np.uint8))
    stacked = np.stack(found)
    return stacked[..., None] if grey else stacked


def size_after(width: int, height: int, sizing: Sizing, name: str) -> tuple[int, int]:
    """Width and height after cropping and resizing, which are checked to be possible."""
    if sizing.crop is not None:
        if min(width, height) < sizing.crop:
            raise unusable("crop", sizing.crop, f"at most the {width} x {height} of {shown(name)}")
        width = height = sizing.crop
    if sizing.resize is not None:
        if width != height:
            expected = f"a crop as well, as {shown(name)} is {width} x {height}, which is no square"
            raise unusable("resize", sizing.resize, expected)
        width = height = sizing.resize
    return width, height


_PNG, _DEPTH_OF_PNG = b"\x89PNG\r\n\x1a\n", 24
"""How a PNG begins, and where it has its bits per channel."""


def _opened(data: bytes, name: str, bounds: Bounds) -> Image.Image:
    from PIL import Image

    at = f"file.{shown(name)}"
    if data.startswith(_PNG) and data[_DEPTH_OF_PNG : _DEPTH_OF_PNG + 1] == b"\x10":
        # Pillow would drop the lower half of each colour, and say nothing.
        raise unusable(at, "16 bits for each channel", "8 bits for each channel")
    with damage_as_fault(at, "an image"), warnings.catch_warnings():
        # The bound on pixels is checked below.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    width, height = image.size
    if width * height > bounds.pixels:
        expected = f"at most {bounds.pixels} pixels"
        raise unusable(at, f"{width} x {height}", expected)
    with damage_as_fault(at, "a whole image"):
        frames = getattr(image, "n_frames", 1)
    if frames > 1:
        raise unusable(at, "an animation", "a single image")
    if image.mode not in GREY + COLOUR:
        expected = "8 bits for each channel"
        raise unusable(at, f"pixels of kind {image.mode}", expected)
    return image


def _sized(image: Image.Image, name: str, sizing: Sizing) -> Image.Image:
    from PIL import Image

    width, height = image.size
    after = size_after(width, height, sizing, name)
    if sizing.crop is not None:
        left, top = (width - sizing.crop) // 2, (height - sizing.crop) // 2
        image = image.crop((left, top, left + sizing.crop, top + sizing.crop))
    if image.size != after:
        image = image.resize(after, Image.Resampling.LANCZOS)
    return image
