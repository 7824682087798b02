from __future__ import annotations

import hashlib
import math
import random
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ml.datasets.protocol import dataset
from ml.datasets.worlds import _avatar_layers as layers
from ml.datasets.worlds import avatars
from ml.datasets.worlds.avatars import Avatars

SMILING = {
    "background": "sand",
    "skin": "brown",
    "clothing_colour": "blue",
    "mouth": "smile",
    "eyes": "happy",
    "eyebrows": "raised",
    "hair": "bun",
    "hair_colour": "black",
    "beard": "no",
    "glasses": "yes",
}
SMILING_SHA256 = "49613caf04f46a537086ff413668480bdc502b2bfddecb5cac1a8b6f0938b401"
FIRST_BODY_SHA256 = "e83b924934be6d1850ce0d2a336389b374d5c853f8875d099860caed3556b361"


@pytest.fixture(scope="module")
def first_body() -> NDArray[np.uint8]:
    """The images of the first body: (mouth, eyes, eyebrows, hair, hair_colour, beard, glasses)."""
    block = next(layers.blocks(32))
    return block.reshape(*layers.sizes("Face"), *layers.sizes("Top"), 32, 32, 3)


def layered(values: dict[str, str], size: int) -> NDArray[np.uint8]:
    body, face, top = (layers.drawn(values, size, (layer,)) for layer in ("Body", "Face", "Top"))
    return layers.over(top, layers.over(face, body[..., :3]))


def changed(values: dict[str, str], **others: str) -> NDArray[np.int64]:
    """The rows and columns of pixels that differ, (pixels, 2)."""
    return np.argwhere((layered(values, 64) != layered(values | others, 64)).any(axis=-1))


def test_avatars_have_the_known_digests(first_body: NDArray[np.uint8]) -> None:
    assert hashlib.sha256(layered(SMILING, 64).tobytes()).hexdigest() == SMILING_SHA256
    assert hashlib.sha256(first_body.tobytes()).hexdigest() == FIRST_BODY_SHA256


def test_the_images_of_a_block_are_in_the_order_of_the_grid(
    first_body: NDArray[np.uint8],
) -> None:
    names = [*layers.LAYERS["Face"], *layers.LAYERS["Top"]]
    for at in [(0, 0, 0, 0, 0, 0, 0), (1, 2, 1, 3, 2, 1, 0), (3, 1, 0, 5, 3, 0, 1)]:
        values = {name: list(layers.FACTORS[name])[i] for name, i in zip(names, at, strict=True)}
        body = {name: next(iter(known)) for name, known in layers.LAYERS["Body"].items()}
        np.testing.assert_array_equal(first_body[at], layered(body | values, 32))


def test_layers_give_the_avatar_that_the_packages_draw_at_once() -> None:
    draw = random.Random(0)
    for size in (32, 64):
        for _ in range(20):
            values = {name: draw.choice(list(known)) for name, known in layers.FACTORS.items()}
            whole = layers.drawn(values, size)
            assert (whole[..., 3] == 255).all()
            apart = np.abs(whole[..., :3].astype(int) - layered(values, size))
            assert apart.max() <= 3


def test_all_images_of_a_body_differ(first_body: NDArray[np.uint8]) -> None:
    images = first_body.reshape(-1, 32 * 32 * 3)
    assert len({image.tobytes() for image in images}) == len(images) == 2304


def test_only_the_part_that_changes_is_drawn_otherwise() -> None:
    glasses = changed(SMILING, glasses="no")
    assert len(glasses) > 100
    assert glasses[:, 0].min() > 20 and glasses[:, 0].max() < 45
    mouth = changed(SMILING, mouth="sad")
    assert len(mouth) > 10
    assert mouth[:, 0].min() > 35 and mouth[:, 0].max() < 52
    clothes = changed(SMILING, clothing_colour="white")
    assert len(clothes) > 100
    assert clothes[:, 0].min() > 45
    # The background is seen in the upper corners and nowhere in the face.
    background = {tuple(pixel) for pixel in changed(SMILING, background="mint").tolist()}
    assert {(0, 0), (0, 63)} < background
    assert (40, 32) not in background


def test_opacity_weighs_the_upper_picture_and_rounds_to_the_nearest() -> None:
    above = np.array([[[200, 100, 0, 0], [200, 100, 0, 255], [200, 104, 0, 51]]] * 3, np.uint8)
    below = np.full((3, 3, 3), 10, np.uint8)
    # A fifth of 200, 104 and 0 and four fifths of 10: 48, 28.8 and 8.
    expected = [[10, 10, 10], [200, 100, 0], [48, 29, 8]]
    np.testing.assert_array_equal(layers.over(above, below), [expected] * 3)


def test_an_avatar_without_its_groups_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "svg", lambda values: "<svg/>")
    with pytest.raises(LookupError, match="writes no group Face"):
        layers.drawn(SMILING, 32, ("Body", "Top"))


def test_factors_and_their_values_have_names(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = (82_944, 64, 64, 3)
    nothing = np.broadcast_to(np.zeros(1, np.uint8), shape)
    monkeypatch.setattr(avatars, "prepared", lambda *_, **__: nothing)
    data = Avatars().read()
    assert data.is_grid and math.prod(data.factor_sizes) == len(data) == len(nothing)
    assert data.factor_names == tuple(SMILING)
    assert data.factor_sizes == (3, 4, 3, 4, 3, 2, 6, 4, 2, 2)
    assert data.factor_values["glasses"] == ("no", "yes")
    assert data.factor_values["mouth"] == ("smile", "serious", "sad", "shout")
    assert all(
        len(data.factor_values[name]) == size
        for name, size in zip(data.factor_names, data.factor_sizes, strict=True)
    )


@pytest.mark.slow
@pytest.mark.parametrize("size", [32, 64])
def test_all_images_have_the_recorded_digest_and_differ(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEDDLE_DATA", str(tmp_path))
    data = dataset("avatars", size=size)
    whole = hashlib.sha256()
    seen: set[bytes] = set()
    for start in range(0, len(data), 2304):
        images = data.images(slice(start, start + 2304))
        whole.update(images.data)
        seen.update(hashlib.sha256(image.data).digest() for image in images)
    assert whole.hexdigest() == avatars.SHA256[size]
    assert len(seen) == len(data) == 82_944
