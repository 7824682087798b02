"""The JSON bodies of requests to a trained model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from api.http.body import json_body
from api.http.form import form_content
from ml.components.spec_errors import MOST_FAULTS, Fault, InvalidSpec
from ml.datasets.dataset import Dataset
from ml.inference.interpolation import Path
from ml.inference.neighbours import Distance
from ml.reproducibility.draws import MAX_SEED
from ml.spec.parts import Part

MOST_IMAGES = 1024
MOST_DECODED = 256
MOST_DRAWN = 8192
"""The most posterior samples that are decoded for one request."""
MOST_LATENTS = 4096
LARGEST = 1e6
"""The largest value of a latent. Samples of the prior are hardly ever beyond 5."""

Index = Annotated[int, Field(strict=True, ge=0, le=MAX_SEED)]
"""The index of an image of the run's data set."""
Number = Annotated[float, Field(strict=True, ge=-LARGEST, le=LARGEST)]
Code = Annotated[list[Number], Field(min_length=1, max_length=MOST_LATENTS)]


class Images(Part):
    """Images of the run's data set."""

    index: Annotated[list[Index], Field(min_length=1, max_length=MOST_IMAGES)]


class Decoding(Part):
    """Latents to decode."""

    latents: Annotated[list[Code], Field(min_length=1, max_length=MOST_DECODED)]
    """One row for each image, with as many numbers as the model has latents."""


class Generation(Part):
    """Images to generate."""

    count: Annotated[int, Field(strict=True, ge=1, le=MOST_DECODED)] = 16
    seed: Annotated[int, Field(strict=True, ge=0, le=MAX_SEED)] = 0
    """The seed of the samples. The same seed gives the same images."""


class NeighboursOfFile(Part):
    """The number of neighbours, and the distance by which they are near."""

    count: Annotated[int, Field(strict=True, ge=1, le=MOST_DECODED)] = 10
    distance: Distance = "euclidean"
    """`standardised` measures each latent in units of the codes' standard deviation."""


class Neighbours(NeighboursOfFile):
    """The image of the data set, or the code, whose neighbours are wanted."""

    index: Index | None = None
    latents: Code | None = None


class Distances(Part):
    """Images of the data set, and the distance to measure between them."""

    index: Annotated[list[Index], Field(min_length=1, max_length=MOST_DECODED)]
    distance: Distance = "euclidean"
    """`standardised` measures each latent in units of the codes' standard deviation."""


class Swap(Part):
    """Two images of the data set, and what they exchange: a factor, or latents."""

    a: Index
    b: Index
    factor: Annotated[str, Field(max_length=200)] | None = None
    """The factor to exchange, by the latent that has the most information about it."""
    latents: Annotated[list[Index], Field(min_length=1, max_length=MOST_LATENTS)] | None = None
    """The latents to exchange, by their numbers from 0."""


class Interpolation(Part):
    """Two images of the data set, and the way between their codes."""

    a: Index
    b: Index
    frames: Annotated[int, Field(strict=True, ge=2, le=100)] = 11
    """The number of frames, both ends included."""
    path: Path = "linear"


def check_indices(data: Dataset, given: Mapping[str, int | Sequence[int]]) -> None:
    """Refuse indices that no image of the data set has. `given` maps paths of the request to them.

    Raises:
        InvalidSpec: with the paths of those indices.
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
    """Refuse to decode this many posterior samples of each of this many images.

    Raises:
        InvalidSpec: they are too many together.
    """
    if samples * images > MOST_DRAWN:
        expected = f"at most {MOST_DRAWN // images} for {images} images"
        raise InvalidSpec([Fault("samples", samples, expected)])


def codes_of(given: Mapping[str, Sequence[float]], latents: int) -> np.ndarray:
    """Codes as an array (codes, latents) in float32. `given` maps paths of the request to them.

    Raises:
        InvalidSpec: a code has more or fewer numbers than the model has latents.
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
        InvalidSpec: with the names of the fields.
    """
    given = [name for name in names if getattr(body, name) is not None]
    if len(given) != 1:
        got = " and ".join(given) or None
        raise InvalidSpec([Fault(names[0], got, f"either {' or '.join(names)}")])


def request_body(body: type[Part], example: Mapping[str, Any]) -> dict[str, Any]:
    """The OpenAPI request body of a route that takes this body."""
    return json_body(body.model_json_schema(), example)


_FILES: dict[str, Any] = {
    "type": "array",
    "items": {"type": "string", "contentMediaType": "application/octet-stream"},
    "minItems": 1,
    "maxItems": MOST_IMAGES,
    "description": "PNG or JPEG images, or npz files of numpy.savez with the array images alone:"
    " (samples, height, width) or (samples, height, width, channels), uint8 from 0 to 255, bool, or"
    " floats in [0, 1]. Transparent pixels become black. Nothing is unpickled. At most"
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
