"""Writing decoded images as PNG and GIF files, and reading people's pictures as images."""

from __future__ import annotations

import io
import math

import numpy as np
from jaxtyping import Float
from PIL import Image

from ml.plots.drawing.tiles import tiles
from ml.plots.protocol import NothingToDraw

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
"""Pillow's modes by the number of channels."""
GAP = 2
"""Pixels between the images of a mosaic."""
FRAME_MILLISECONDS = 80


def png(
    images: Float[np.ndarray, "samples height width channels"],
    *,
    columns: int | None = None,
    scale: int = 1,
) -> bytes:
    """Images in [0, 1] as a PNG file: a single image, or a mosaic on white.

    Each pixel becomes `scale` by `scale` equal ones. The images of a mosaic are in rows of
    `columns` images; by default the grid is nearly square.

    Raises:
        NothingToDraw: images with this number of channels cannot be drawn.
    """
    count = len(images)
    sheet = images[0] if count == 1 else tiles(images, columns or near_square(count), gap=GAP)
    file = io.BytesIO()
    _picture(sheet, scale).save(file, "PNG")
    return file.getvalue()


def gif(images: Float[np.ndarray, "samples height width channels"], *, scale: int = 1) -> bytes:
    """Images in [0, 1] as a GIF file that runs forward and backward forever.

    Raises:
        NothingToDraw: images with this number of channels cannot be drawn.
    """
    there_and_back = [*images, *images[-2:0:-1]]
    first, *others = [_with_palette(_picture(image, scale)) for image in there_and_back]
    file = io.BytesIO()
    first.save(
        file, "GIF", save_all=True, append_images=others, duration=FRAME_MILLISECONDS, loop=0
    )
    return file.getvalue()


def near_square(count: int) -> int:
    """Columns of a nearly square grid for `count` images, with no fewer columns than rows."""
    return math.ceil(math.sqrt(count))


def mosaic_pixels(image_shape: tuple[int, int, int], count: int, scale: int) -> int:
    """Number of pixels in a mosaic of `count` images, not counting the gaps."""
    height, width, _ = image_shape
    return count * height * width * scale**2


def pixels(image: Image.Image, channels: int) -> Float[np.ndarray, "height width channels"]:
    """A picture of any mode as an array in [0, 1], float32.

    Transparent pixels become black. Only the first of several frames is read.
    """
    if image.mode.startswith("I") or image.mode == "F":
        # Pillow's own conversion would clip these 16-bit pixels at 255.
        grey = np.asarray(image, dtype=np.float32)[..., None] / np.float32(65535)
        deep = np.repeat(grey.clip(0, 1), channels, axis=2)
        if channels == 4:
            deep[..., 3] = 1
        return deep
    if image.has_transparency_data and channels != 4:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    converted = np.asarray(image.convert(MODES[channels]), dtype=np.float32)
    found: np.ndarray = converted.reshape(image.height, image.width, channels) / np.float32(255)
    return found


def resized(
    images: Float[np.ndarray, "samples _ _ channels"], height: int, width: int
) -> Float[np.ndarray, "samples height width channels"]:
    """Images in [0, 1] at another size, by linear interpolation.

    If they become smaller, each pixel is the weighted mean of all pixels that it covers.
    """
    if images.shape[1:3] == (height, width):
        return images
    found = np.empty((len(images), height, width, images.shape[3]), dtype=np.float32)
    for image, small in zip(images, found, strict=True):
        for channel in range(images.shape[3]):
            plane = Image.fromarray(np.ascontiguousarray(image[..., channel], dtype=np.float32))
            smaller = plane.resize((width, height), Image.Resampling.BILINEAR)
            small[..., channel] = np.asarray(smaller)
    return found.clip(0, 1)


def _with_palette(picture: Image.Image) -> Image.Image:
    """The picture with a palette of at most 256 colours that are made for it."""
    if picture.mode == "RGBA":
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    grey = picture.mode == "L"
    return picture.convert("P") if grey else picture.convert("RGB").quantize(256)


def _picture(image: np.ndarray, scale: int) -> Image.Image:
    """An image (height, width, channels) in [0, 1] as a Pillow picture."""
    channels = image.shape[2]
    if channels not in MODES:
        raise NothingToDraw(
            f"Images of {channels} channels have no picture: ask for application/json or"
            " application/x-npz."
        )
    # Numbers that are not finite become black or white.
    levels = np.rint(np.nan_to_num(image).clip(0, 1) * 255).astype(np.uint8)
    if scale > 1:
        levels = levels.repeat(scale, axis=0).repeat(scale, axis=1)
    return Image.fromarray(levels[..., 0] if channels == 1 else levels)
