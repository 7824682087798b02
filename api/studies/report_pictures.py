"""Pictures made small enough that a page may hold many of them."""

from __future__ import annotations

import io

from PIL import Image

WIDTH = 640
COLOURS = 64
"""Enough for grey levels and letters."""


def thumbnail(picture: bytes) -> bytes:
    """A picture as a PNG file of at most `WIDTH` pixels across, in few colours.

    Raises:
        OSError: it is no picture.
    """
    with Image.open(io.BytesIO(picture)) as image:
        shown = image.convert("RGB")
    if shown.width > WIDTH:
        height = max(1, round(shown.height * WIDTH / shown.width))
        shown = shown.resize((WIDTH, height), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    shown.quantize(COLOURS, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return file.getvalue()
