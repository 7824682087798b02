"""scream_dsprites: dSprites on parts of a picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from jaxtyping import Int64, UInt8
from numpy.typing import NDArray

from ml.components.registry import register
from ml.datasets._files import sha256_of
from ml.datasets.dataset import Paint
from ml.datasets.protocol import MissingFile, OperatorPath, UnusableFile, operator_file
from ml.datasets.worlds._painted_sprites import (
    CHANNELS,
    SIDE,
    PaintedSprites,
    along_columns,
    as_images,
    random_bytes,
    sprites,
)

WIDTH, HEIGHT = 350, 274
"""Pictures are made to fit into this size, and keep their proportions."""
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
PIXELS_AT_MOST = 64_000_000
LOST = "The place in the background and the tint of each image are random, and no factor says them."


@register
class ScreamDSprites(PaintedSprites):
    """scream_dsprites: dSprites on random parts of a picture, inverted, 64 x 64 pixels.

    The factors are those of dSprites. The background is a part of a picture, averaged with a random
    colour. On the sprite, the colours of the background are inverted.

    Locatello et al. take The Scream by Edvard Munch as the picture, which comes with no package. A
    file of it may be named as `background`. By default the picture is one of our own: an evening
    sky in waves over dark water, drawn by a formula. The notes of the data set say which was used,
    and scores with one picture are not comparable with scores with another.

    They also draw a fresh part and a fresh colour each time an image is used. Here each of the
    737,280 images has its own, drawn from its index, so that an image is the same each time.

    References:
        Locatello et al., 2019, https://arxiv.org/abs/1811.12359
    """

    version: ClassVar[int] = 1
    name: Literal["scream_dsprites"] = "scream_dsprites"
    background: OperatorPath | None = None
    """A picture file relative to the data folder: PNG, JPEG, WebP, GIF, TIFF, BMP or PPM, at least
    64 x 64 pixels after it was made to fit into 350 x 274. If null, our own picture is used."""

    def painted(self) -> tuple[Paint, tuple[str, ...]]:
        if self.background is None:
            return painter(drawn_picture()), (
                "The background is a picture of our own, drawn by a formula, and not The Scream.",
                LOST,
            )
        file = _picture_file(self.background)
        return painter(read_picture(file)), (
            f"The background is the operator's picture with SHA-256 {sha256_of(file)}.",
            LOST,
        )

    def identity(self) -> dict[str, Any]:
        """Parameters and version, with the picture's SHA-256 in place of its path.

        Raises:
            MissingFile: there is no file at `background`.
        """
        identity = super().identity()
        if self.background is not None:
            identity["background"] = f"sha256:{sha256_of(_picture_file(self.background))}"
        return identity


def painter(
    picture: UInt8[np.ndarray, "height width 3"],
) -> Callable[[NDArray[np.int64], NDArray[np.uint8]], NDArray[np.uint8]]:
    """Paints sprites on parts of this picture."""
    height, width, _ = picture.shape
    flat = np.ascontiguousarray(picture).reshape(height, width * CHANNELS)
    parts = np.lib.stride_tricks.sliding_window_view(flat, (SIDE, SIDE * CHANNELS))

    def paint(
        rows: Int64[np.ndarray, "samples"], bits: UInt8[np.ndarray, "samples bytes"]
    ) -> UInt8[np.ndarray, "samples 64 64 3"]:
        # Eight bytes a row: three of the colour, one unused, and two for each coordinate. Sixteen
        # random bits times the number of places, without the lowest 16 bits, are a place.
        drawn = random_bytes(rows, 8, stream=2)
        coordinates = np.ascontiguousarray(drawn[:, 4:]).view("<u2").astype(np.int64)
        across = (coordinates[:, 0] * (width - SIDE + 1)) >> 16
        down = (coordinates[:, 1] * (height - SIDE + 1)) >> 16
        part, colour = parts[down, CHANNELS * across], along_columns(drawn[:, :3])
        # The mean of two bytes, rounded down, without a ninth bit.
        mean = (part & colour) + ((part ^ colour) >> np.uint8(1))
        # 255 - x is x with all bits swapped.
        return as_images(mean ^ sprites(bits))

    return paint


def drawn_picture() -> UInt8[np.ndarray, "274 350 3"]:
    """An evening sky in waves over dark water.

    Waves are parabolas and all numbers are whole, so that every machine draws the same bytes.
    """
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.int64)
    # Bands of the sky bend, and each lies along the others.
    bent = y + _wave(x + y // 3, 170, 22) + _wave(x - 2 * y, 61, 5)
    sky = _between(_wave(bent, 46, 128), (250, 186, 70), (196, 58, 34))
    sky = sky + _between(_wave(bent + x // 8, 19, 128), (6, 10, 18), (-14, -18, -10))
    swirl = 2 * y - x + _wave(x + y, 90, 40) + _wave(3 * y - x, 47, 9)
    water = _between(_wave(swirl, 54, 128), (38, 72, 118), (14, 24, 48))
    water = water + _between(_wave(swirl + y, 23, 128), (30, 34, 6), (-8, -4, 0))
    shore = 150 + x // 9 + _wave(2 * x + 40, 230, 14)
    # The path in the lower left is of planks that run to the right and up.
    plank = 3 * y + 2 * x
    wood = _between(_wave(plank + _wave(x, 120, 8), 42, 128), (168, 104, 60), (84, 46, 36))
    path = y > 120 + (3 * x) // 4 + _wave(x, 140, 6)
    picture = np.where((y < shore)[..., None], sky, water)
    picture = np.where(path[..., None], wood, picture)
    return np.clip(picture, 0, 255).astype(np.uint8)


def _wave(at: NDArray[np.int64], length: int, height: int) -> NDArray[np.int64]:
    """A wave from -height to height, made of parabolas, with a period of 2 x length."""
    phase = at % (2 * length)
    along = phase % length
    hump = 4 * height * along * (length - along) // (length * length)
    return np.where(phase < length, hump, -hump)


def _between(
    wave: NDArray[np.int64], crest: tuple[int, int, int], trough: tuple[int, int, int]
) -> NDArray[np.int64]:
    """Colours from the trough's, where the wave is -128, to the crest's, where it is 128."""
    share = (wave + 128)[..., None]
    colours: NDArray[np.int64] = (share * np.array(crest) + (256 - share) * np.array(trough)) // 256
    return colours


def _picture_file(path: str) -> Path:
    file = operator_file(path)
    if not file.is_file():
        raise MissingFile(
            file, size="a picture of any size", published="wherever you have the picture from"
        )
    return file


def read_picture(file: Path) -> UInt8[np.ndarray, "height width 3"]:
    """An operator's picture in three channels, made smaller to fit into WIDTH x HEIGHT.

    Raises:
        UnusableFile: the file is no picture, or too large, too small or damaged.
    """
    # The catalogue need not wait for Pillow.
    from PIL import Image

    try:
        # Only formats that Pillow decodes itself: for others it starts other programs.
        with Image.open(file, formats=FORMATS) as picture:
            width, height = picture.size
            if width * height > PIXELS_AT_MOST:
                raise UnusableFile(
                    file,
                    f"expected a picture of at most {PIXELS_AT_MOST:,} pixels,"
                    f" but got {width} x {height}",
                )
            if picture.mode.startswith(("I", "F")):
                raise UnusableFile(
                    file, f"expected 8 bits a channel, but got Pillow's mode {picture.mode}"
                )
            picture.thumbnail((WIDTH, HEIGHT))
            pixels = np.asarray(picture.convert("RGB"))
    except UnusableFile:
        raise
    except Exception as error:
        # Pillow's decoders raise errors of many kinds for damaged files.
        raise UnusableFile(
            file, f"Pillow reads no picture in it ({error}); it takes {', '.join(FORMATS)}"
        ) from error
    if min(pixels.shape[:2]) < SIDE:
        raise UnusableFile(
            file,
            f"expected at least {SIDE} x {SIDE} pixels within {WIDTH} x {HEIGHT},"
            f" but got {pixels.shape[1]} x {pixels.shape[0]}",
        )
    assert pixels.shape[2] == CHANNELS
    return pixels
