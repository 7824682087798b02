"""Decoded images as the file or the document that a client wants."""

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
"""What decoded images are told as, the default first."""
FILM: dict[Kind, str] = {**PICTURE, "gif": TYPES["gif"]}
NUMBERS: dict[Kind, str] = {kind: TYPES[kind] for kind in ("json", "npz")}

MOST_PIXELS = 1 << 24
DECIMALS = 4
"""Of a pixel in JSON: sixteen-bit grey levels have fewer."""


def check_size(kind: Kind, model: Model, count: int, scale: int) -> None:
    """Refuse to draw so many images at this scale, before they are decoded.

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
    told: Mapping[str, Any] | None = None,
) -> Response:
    """Images (samples, height, width, channels) in [0, 1] as an answer.

    `arrays` go with them into JSON and npz, and what is `told` into JSON.

    Raises:
        NothingToDraw: a picture is wanted, and images of so many channels have none.
    """
    if kind == "png":
        return Response(png(images, columns=columns, scale=scale), media_type=TYPES[kind])
    if kind == "gif":
        return Response(gif(images, scale=scale), media_type=TYPES[kind])
    # As data sets give them: without an axis for a single channel.
    pixels = images[..., 0] if images.shape[3] == 1 else images
    if kind == "npz":
        return npz({"images": pixels, **(arrays or {})})
    document = {name: numbers(array) for name, array in (arrays or {}).items()}
    rounded = pixels.astype(np.float64).round(DECIMALS)
    return JSONResponse(
        {**(told or {}), **document, "images": numbers(rounded), "shape": list(pixels.shape)}
    )
