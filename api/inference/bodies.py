"""What clients ask of a trained model, in JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from api.http.body import json_body
from api.http.form import form_content
from ml.components.spec_errors import MOST_FAULTS, Fault, InvalidSpec
from ml.datasets.protocol import Dataset
from ml.inference.interpolation import Path
from ml.inference.neighbours import Distance
from ml.reproducibility.draws import MAX_SEED
from ml.spec.parts import Part

MOST_IMAGES = 1024
MOST_DECODED = 256
MOST_DRAWN = 8192
"""Posterior samples that one request may have decoded."""
MOST_LATENTS = 4096
LARGEST = 1e6
"""Of a latent; a prior's are hardly ever beyond 5."""

Index = Annotated[int, Field(strict=True, ge=0, le=MAX_SEED)]
"""Of an image of the run's data set."""
Number = Annotated[float, Field(strict=True, ge=-LARGEST, le=LARGEST)]
Code = Annotated[list[Number], Field(min_length=1, max_length=MOST_LATENTS)]


class Images(Part):
    """Images of the run's data set."""

    index: Annotated[list[Index], Field(min_length=1, max_length=MOST_IMAGES)]


class Decoding(Part):
    """Latents to be decoded."""

    latents: Annotated[list[Code], Field(min_length=1, max_length=MOST_DECODED)]
    """A row an image, each with as many numbers as the model has latents."""


class Generation(Part):
    """Images to be made up."""

    count: Annotated[int, Field(strict=True, ge=1, le=MOST_DECODED)] = 16
    seed: Annotated[int, Field(strict=True, ge=0, le=MAX_SEED)] = 0
    """Which are drawn."""


class NeighboursOfFile(Part):
    """How many are asked for, and what is near."""

    count: Annotated[int, Field(strict=True, ge=1, le=MOST_DECODED)] = 10
    distance: Distance = "euclidean"
    """`standardised`: each latent in units of the codes' deviation."""


class Neighbours(NeighboursOfFile):
    """What the nearest are asked of: an image of the data set, or a code."""

    index: Index | None = None
    latents: Code | None = None


class Distances(Part):
    """Images of the data set whose distances are asked for."""

    index: Annotated[list[Index], Field(min_length=1, max_length=MOST_DECODED)]
    distance: Distance = "euclidean"
    """`standardised`: each latent in units of the codes' deviation."""


class Swap(Part):
    """Two images of the data set, and what they exchange: a factor, or latents."""

    a: Index
    b: Index
    factor: Annotated[str, Field(max_length=200)] | None = None
    """By the latent that tells most about it."""
    latents: Annotated[list[Index], Field(min_length=1, max_length=MOST_LATENTS)] | None = None
    """By number, from 0."""


class Interpolation(Part):
    """Two images of the data set, and the way between their codes."""

    a: Index
    b: Index
    frames: Annotated[int, Field(strict=True, ge=2, le=100)] = 11
    """Both ends included."""
    path: Path = "linear"


def check_indices(data: Dataset, given: Mapping[str, int | Sequence[int]]) -> None:
    """Refuse indices, by the paths they were given at, that no image of the data set has.

    Raises:
        InvalidSpec: naming them.
    """
    expected = f"0 to {len(data) - 1}, an image of {data.name}"
    faults = [
        Fault(path, index, expected)
        for name, indices in given.items()
        for path, index in (
            [(name, indices)]
            if isinstance(indices, int)
            else [(f"{name}[{place}]", index) for place, index in enumerate(indices)]
        )
        if index >= len(data)
    ]
    if faults:
        raise InvalidSpec(faults[:MOST_FAULTS])


def check_samples(samples: int, images: int) -> None:
    """Refuse to have so many posterior samples of so many images decoded.

    Raises:
        InvalidSpec: they are too many.
    """
    if samples * images > MOST_DRAWN:
        expected = f"at most {MOST_DRAWN // images} for {images} images"
        raise InvalidSpec([Fault("samples", samples, expected)])


def codes_of(given: Mapping[str, Sequence[float]], latents: int) -> np.ndarray:
    """Codes by the paths they were given at, as (codes, latents) in float32.

    Raises:
        InvalidSpec: one has not as many numbers as the model has latents.
    """
    faults = [
        Fault(path, f"{len(code)} numbers", f"{latents}, the latents of the model")
        for path, code in given.items()
        if len(code) != latents
    ]
    if faults:
        raise InvalidSpec(faults[:MOST_FAULTS])
    return np.array(list(given.values()), dtype=np.float32)


def exactly_one(body: Part, *names: str) -> None:
    """Refuse a body that has none or several of these fields.

    Raises:
        InvalidSpec: naming them.
    """
    given = [name for name in names if getattr(body, name) is not None]
    if len(given) != 1:
        got = " and ".join(given) or None
        raise InvalidSpec([Fault(names[0], got, f"either {' or '.join(names)}")])


def request_body(body: type[Part], example: Mapping[str, Any]) -> dict[str, Any]:
    """The OpenAPI request body of a route that takes it."""
    return json_body(body.model_json_schema(), example)


_FILES: dict[str, Any] = {
    "type": "array",
    "items": {"type": "string", "contentMediaType": "application/octet-stream"},
    "minItems": 1,
    "maxItems": MOST_IMAGES,
    "description": "PNG or JPEG images, or npz files of numpy.savez with the array images alone:"
    " (samples, height, width) or (samples, height, width, channels), uint8 from 0 to 255, bool, or"
    " floats in [0, 1]. What is transparent is black. Nothing is unpickled. At most"
    f" {MOST_IMAGES:,} images, and 32 MiB.",
}


IMAGES_BODY: dict[str, Any] = {
    "required": True,
    "content": {**form_content(file=_FILES), **request_body(Images, {"index": [0, 5]})["content"]},
}

NEIGHBOURS_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        **request_body(Neighbours, {"index": 5, "count": 10})["content"],
        **form_content(file=_FILES | {"maxItems": 1}, spec=NeighboursOfFile.model_json_schema()),
    },
}
