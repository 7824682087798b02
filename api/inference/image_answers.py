"""Answers with decoded images, as the file or the document that a client wants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from fastapi.responses import JSONResponse, Response

from api.answers.files import NPZ
from api.inference.number_answers import npz, numbers
from ml.components.spec_errors import Fault, InvalidSpec
from ml.inference.image_files import gif, mosaic_pixels, png
from ml.networks.model import Model

Kind = Literal["png", "json", "npz", "gif"]

TYPES: dict[Kind, str] = {
    "png": "image/png",
    "json": "application/json",
    "npz": NPZ,
    "gif": "image/gif",
}
PICTURE: dict[Kind, str] = {kind: TYPES[kind] for kind in ("png", "json", "npz")}
"""The media types for decoded images, the default first."""
FILM: dict[Kind, str] = {**PICTURE, "gif": TYPES["gif"]}
NUMBERS: dict[Kind, str] = {kind: TYPES[kind] for kind in ("json", "npz")}

MOST_PIXELS = 1 << 24
DECIMALS = 4
"""The decimals of a pixel in JSON. Grey levels of eight bits need fewer."""


def check_size(kind: Kind, model: Model, count: int, scale: int) -> None:
    """Refuse a picture of this many images at this scale that is too large.

    The check comes before the images are decoded.

    Raises:
        InvalidSpec: the picture would be too large.
    """
    pixels = mosaic_pixels(model.image_shape, count, scale)
    if kind in ("png", "gif") and pixels > MOST_PIXELS:
        expected = f"a picture of at most {MOST_PIXELS:,} pixels, and not of {pixels:,}"
        raise InvalidSpec([Fault("scale", scale, expected)])


def answer(
    kind: Kind,
    images: np.ndarray,
    *,
    scale: int = 1,
    columns: int | None = None,
    arrays: Mapping[str, np.ndarray] | None = None,
    details: Mapping[str, Any] | None = None,
) -> Response:
    """An answer with images, given as an array (samples, height, width, channels) in [0, 1].

    JSON and npz hold the `arrays` too, and JSON holds the `details`.

    Raises:
        NothingToDraw: a picture is wanted, but images with this many channels have none.
    """
    if kind == "png":
        return Response(png(images, columns=columns, scale=scale), media_type=TYPES[kind])
    if kind == "gif":
        return Response(gif(images, scale=scale), media_type=TYPES[kind])
    # As in data sets, a single channel has no axis.
    pixels = images[..., 0] if images.shape[3] == 1 else images
    if kind == "npz":
        return npz({"images": pixels, **(arrays or {})})
    document = {name: numbers(array) for name, array in (arrays or {}).items()}
    rounded = pixels.astype(np.float64).round(DECIMALS)
    return JSONResponse(
        {**(details or {}), **document, "images": numbers(rounded), "shape": list(pixels.shape)}
    )
