"""The images of a request: PNG and JPEG files, an npz, or indices of images of the data set."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, BinaryIO

import numpy as np
from fastapi import Depends, Request
from PIL import Image, UnidentifiedImageError
from starlette.datastructures import FormData, UploadFile

from api.http.body import JSON_TYPES, MAX_BYTES, body_bytes, read_json
from api.http.form import MEDIA_TYPE, FormBounds, below, read_form, repeated
from api.http.negotiation import media_type
from api.inference.bodies import MOST_IMAGES, Images, check_indices
from api.state.trained import Trained
from ml.codes.found_arrays import UnusableArrays
from ml.components.registry import nearest
from ml.components.spec_errors import MOST_FAULTS, Fault, InvalidSpec, parsed, shown
from ml.datasets.dataset import in_unit_range
from ml.inference.image_arrays import as_unit_range, read_images
from ml.inference.image_files import MODES, pixels, resized

PART, SPEC = "file", "spec"
MOST_BYTES = 32 << 20
FORMATS = ("PNG", "JPEG")
MOST_PIXELS = 1 << 24
"""The most pixels of one picture, by its header."""
MOST_NUMBERS = 3 << 26
"""The most pixels times channels in all images of a request, whether pictures or in npz files."""
_NPZ = b"PK"


@dataclass(frozen=True)
class SentImages:
    """The files, or the JSON with indices, that a request sends. They are not checked yet."""

    files: list[BinaryIO] | None
    json: bytes
    """The body. If there are files, it is the part `spec`."""

    def images(self, found: Trained, *, resize: bool) -> np.ndarray:
        """The images as the model takes them: (samples, height, width, channels) in [0, 1].

        With `resize`, images of another size are resized to the model's. Without it they are
        refused.

        Raises:
            BadRequest: 400 for a body that is not JSON.
            InvalidSpec: a file is neither an image nor an npz, its images do not fit the model, or
                the data set has no image of an index.
        """
        if self.files is None:
            wanted = parsed(Images, read_json(self.json)).index
            check_indices(found.data, {"index": wanted})
            return in_unit_range(found.data, np.array(wanted))
        parts: list[np.ndarray] = []
        budget = _Budget()
        for place, file in enumerate(self.files):
            path = PART if len(self.files) == 1 else f"{PART}[{place}]"
            parts.append(_images_of(file, path, found, budget, resize=resize))
            if (count := sum(map(len, parts))) > MOST_IMAGES:
                raise InvalidSpec([Fault(PART, f"{count} images", f"at most {MOST_IMAGES:,}")])
        return np.concatenate(parts)


@asynccontextmanager
async def _reading(request: Request, parts: Sequence[str]) -> AsyncIterator[SentImages]:
    """The files or the JSON of a request. A form may have these parts.

    Raises:
        BadRequest: 413 for a body that is too large, 415 for another media type, 400 for a body
            that is not multipart.
        InvalidSpec: a part is missing or unknown.
    """
    came = media_type(request.headers, "application/json")
    if JSON_TYPES.fullmatch(came):
        yield SentImages(None, await body_bytes(request))
        return
    form = await _form(request)
    try:
        yield _parts(form, parts)
    finally:
        await form.close()


async def _images(request: Request) -> AsyncGenerator[SentImages]:
    async with _reading(request, (PART,)) as sent:
        yield sent


async def _images_with_spec(request: Request) -> AsyncGenerator[SentImages]:
    async with _reading(request, (PART, SPEC)) as sent:
        yield sent


Sent = Annotated[SentImages, Depends(_images)]
SentWithSpec = Annotated[SentImages, Depends(_images_with_spec)]
"""If there are files, `json` is the part `spec`, or an empty object."""


async def _form(request: Request) -> FormData:
    bounds = FormBounds(
        body_bytes=MOST_BYTES,
        files=MOST_IMAGES,
        fields=1,
        field_bytes=1000,
        too_large=f"The body may have {MOST_BYTES:,} bytes; send fewer images at once.",
    )
    expected = f"{MEDIA_TYPE} with parts {PART}, or application/json with indices"
    return await read_form(request, bounds, expected=expected, called=f"{MEDIA_TYPE} of files")


def _parts(form: FormData, known: Sequence[str]) -> SentImages:
    given = form.multi_items()
    expected = "images as parts file, as by curl -F file=@image.png"
    unknown = "the part file" if len(known) == 1 else "one of the parts " + ", ".join(known)
    faults = [
        Fault(shown(name), None, unknown, nearest(name, known))
        for name, _ in given
        if name not in known
    ]
    faults += [
        Fault(PART, "text that is no file", expected)
        for name, value in given
        if name == PART and not isinstance(value, UploadFile)
    ]
    faults += repeated(form, {SPEC}.intersection(known))
    files = [value.file for name, value in given if name == PART and isinstance(value, UploadFile)]
    if not files and not faults:
        faults.append(Fault(PART, None, expected))
    if faults:
        raise InvalidSpec(faults[:MOST_FAULTS])
    spec = form.get(SPEC, "{}")
    return SentImages(files, spec.encode() if isinstance(spec, str) else spec.file.read(MAX_BYTES))


class _Budget:
    """The count of numbers that the images of a request may still have."""

    def __init__(self) -> None:
        self._left = MOST_NUMBERS

    def take(self, *shape: int) -> None:
        """Count images of this shape before they take memory and time.

        Raises:
            InvalidSpec: all images together have too many numbers.
        """
        self._left -= math.prod(shape)
        if self._left < 0:
            got = f"more, with images of {' x '.join(map(str, shape))}"
            expected = f"at most {MOST_NUMBERS:,} pixels times channels in all images"
            raise InvalidSpec([Fault(PART, got, expected)])


def _images_of(
    file: BinaryIO, path: str, found: Trained, budget: _Budget, *, resize: bool
) -> np.ndarray:
    """The images of a file as the model takes them."""
    beginning = file.read(len(_NPZ))
    file.seek(0)
    if not beginning:
        raise InvalidSpec([Fault(path, "an empty file", "a PNG or JPEG image, or an npz file")])
    if beginning != _NPZ:
        return _picture(file, path, found, budget, resize=resize)

    def check(shape: tuple[int, ...]) -> None:
        _check_shape(f"{path}.images", shape[1:], found, resize=resize)
        budget.take(*shape)

    try:
        images = read_images(file, MOST_IMAGES, check=check)
        height, width, _ = found.model.image_shape
        return resized(as_unit_range(images, found.data.max_value), height, width)
    except UnusableArrays as error:
        raise InvalidSpec(below(path, error.faults)) from None


def _check_shape(path: str, shape: tuple[int, ...], found: Trained, *, resize: bool) -> None:
    height, width, channels = found.model.image_shape
    if shape[2] != channels:
        expected = f"{channels}, as the model's images have"
        raise InvalidSpec([Fault(path, f"{shape[2]} channels", expected)])
    if shape[:2] != (height, width) and not resize:
        expected = f"{height} x {width}, the model's, or resize=true"
        raise InvalidSpec([Fault(path, f"{shape[0]} x {shape[1]}", expected)])


def _picture(
    file: BinaryIO, path: str, found: Trained, budget: _Budget, *, resize: bool
) -> np.ndarray:
    height, width, channels = found.model.image_shape
    if channels not in MODES:
        expected = f"an npz file, as the model's images have {channels} channels"
        raise InvalidSpec([Fault(path, "a picture", expected)])
    try:
        image: Any = Image.open(file, formats=FORMATS)
        if image.width * image.height > MOST_PIXELS:
            expected = f"at most {MOST_PIXELS:,} pixels"
            raise InvalidSpec([Fault(path, f"{image.width} x {image.height} pixels", expected)])
        _check_shape(path, (image.height, image.width, channels), found, resize=resize)
        budget.take(image.height, image.width, channels)
        return resized(pixels(image, channels)[None], height, width)
    except InvalidSpec:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        expected = f"at most {MOST_PIXELS:,} pixels"
        raise InvalidSpec([Fault(path, "an image of more pixels", expected)]) from None
    except Exception as error:
        # Pillow's parsers raise a dozen kinds of errors on invalid bytes.
        got = str(error) if not isinstance(error, UnidentifiedImageError) else "another file"
        expected = "a whole PNG or JPEG image, or an npz file"
        raise InvalidSpec([Fault(path, shown(got), expected)]) from None
