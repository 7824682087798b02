from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from ml.datasets.dataset import Dataset
from ml.datasets.protocol import MissingFile, UnusableFile, dataset
from ml.datasets.resident import ResidentImages
from ml.datasets.worlds import scream_dsprites
from ml.datasets.worlds._painted_sprites import random_bytes
from ml.datasets.worlds.scream_dsprites import ScreamDSprites, drawn_picture, painter, read_picture

NAMES = ("color_dsprites", "noisy_dsprites", "scream_dsprites")
SOME = np.array([0, 1, 300_000, 737_279, 17, 40_000])


@pytest.fixture(scope="module")
def sprites(data_folder: Path) -> Dataset:
    return dataset("dsprites")


def on_sprite(sprites: Dataset, index: NDArray[np.int64]) -> NDArray[np.bool_]:
    return sprites.images(index) == 1


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("color_dsprites", "3a5f3cd12502d373d8234a4f073454f8bc04e7378d6655737c843534a4d8920f"),
        ("noisy_dsprites", "d8fa18c2970d282b45ee5e9e11167018538f2436c80f8d9463758bf86e3a4ca1"),
        ("scream_dsprites", "111217ab48c4d144eda88195bdd4edcb9f67fe05a7be0eb019483a5d8af8311b"),
    ],
)
def test_some_images_have_the_known_digests(sprites: Dataset, name: str, digest: str) -> None:
    index = np.arange(0, 737_280, 1023)
    assert hashlib.sha256(dataset(name).images(index).tobytes()).hexdigest() == digest


@pytest.mark.parametrize("name", NAMES)
def test_they_are_dsprites_with_three_channels(sprites: Dataset, name: str) -> None:
    painted = dataset(name)
    assert (len(painted), painted.image_shape, painted.max_value) == (737_280, (64, 64, 3), 255)
    assert painted.factor_sizes == sprites.factor_sizes and painted.is_grid
    np.testing.assert_array_equal(painted.factors(SOME), sprites.factors(SOME))
    assert painted.images(SOME).shape == (6, 64, 64, 3)
    assert painted.name == name and any("no factor says" in note for note in painted.notes)
    # Only the bits of dSprites are kept.
    assert painted.storage.nbytes == 737_280 * 512


@pytest.mark.parametrize("name", NAMES)
def test_an_image_depends_on_its_index_alone(sprites: Dataset, name: str) -> None:
    painted = dataset(name)
    together = painted.images(SOME)
    for index, image in zip(SOME, together, strict=True):
        np.testing.assert_array_equal(painted.images(index)[0], image)
    chosen = replace(painted, chosen=SOME, labels=sprites.factors(SOME))
    np.testing.assert_array_equal(chosen.images([3, 0]), together[[3, 0]])


@pytest.mark.parametrize("name", NAMES)
def test_training_gathers_the_painted_images(sprites: Dataset, name: str) -> None:
    painted = dataset(name)
    batch = ResidentImages(painted, torch.device("cpu")).gather(SOME)
    expected = painted.images(SOME).transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
    np.testing.assert_array_equal(batch.numpy(), expected)


def test_sprites_have_one_bright_colour_each_on_black(sprites: Dataset) -> None:
    index = np.arange(0, 737_280, 4096)
    images, where = dataset("color_dsprites").images(index), on_sprite(sprites, index)
    assert not images[~where].any()
    colours = np.array([image[place][0] for image, place in zip(images, where, strict=True)])
    expected = np.broadcast_to(colours[:, None, None], images.shape)
    np.testing.assert_array_equal(images[where], expected[where])
    # Uniform from 128 to 255: the mean of 540 is within four standard errors.
    assert colours.min() >= 128
    assert abs(colours.mean() - 191.5) < 4 * 37 / np.sqrt(colours.size)
    assert len(np.unique(colours, axis=0)) == len(index)


def test_noise_is_around_white_sprites_alone(sprites: Dataset) -> None:
    index = np.arange(0, 737_280, 20_011)
    images, where = dataset("noisy_dsprites").images(index), on_sprite(sprites, index)
    assert (images[where] == 255).all()
    noise = images[~where].ravel()
    # Each of 256 values equally often: chi-squared has 255 degrees of freedom.
    expected = noise.size / 256
    chi = ((np.bincount(noise, minlength=256) - expected) ** 2 / expected).sum()
    assert abs(chi - 255) < 5 * np.sqrt(2 * 255)
    neighbours = images[:, :, :-1].astype(float).ravel(), images[:, :, 1:].astype(float).ravel()
    free = ~(where[:, :, :-1] | where[:, :, 1:])[..., None].repeat(3, axis=-1).ravel()
    correlation = np.corrcoef(neighbours[0][free], neighbours[1][free])[0, 1]
    assert abs(correlation) < 0.01


def test_random_bytes_are_those_of_splitmix64() -> None:
    # The first outputs of the published generator with seed 0.
    expected = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    found = random_bytes(np.array([0, 1, 2]), 8, stream=0).view("<u8")
    assert found.ravel().tolist() == expected
    # Rows of several words follow each other.
    assert random_bytes(np.array([0]), 24, stream=0).view("<u8").ravel().tolist() == expected
    assert random_bytes(np.array([5]), 3, stream=1).shape == (1, 3)
    assert random_bytes(np.array([0]), 8, stream=1).view("<u8")[0, 0] not in expected


def test_screams_are_tinted_parts_of_the_picture_inverted_on_the_sprite() -> None:
    # A picture whose pixels say where they are: column in red, row in green.
    picture = np.zeros((100, 150, 3), dtype=np.uint8)
    picture[..., 0] = np.arange(150)
    picture[..., 1] = np.arange(100)[:, None]
    # The upper half of the picture is sprite.
    bits = np.zeros((500, 512), dtype=np.uint8)
    bits[:, :256] = 255
    rows = np.arange(500)
    images = painter(picture)(rows, bits).astype(int)
    images[:, :32] = 255 - images[:, :32]
    drawn = random_bytes(rows, 8, stream=2).astype(int)
    tint = drawn[:, :3]
    across = (drawn[:, 4] + 256 * drawn[:, 5]) * 87 // 65_536
    down = (drawn[:, 6] + 256 * drawn[:, 7]) * 37 // 65_536
    for image, colour, x, y in zip(images, tint, across, down, strict=True):
        part = picture[y : y + 64, x : x + 64].astype(int)
        np.testing.assert_array_equal(image, (part + colour) // 2)
    # All places occur, up to the last.
    assert (across.min(), across.max(), down.min(), down.max()) == (0, 86, 0, 36)


def test_our_own_picture_is_said_to_be_used(sprites: Dataset) -> None:
    assert drawn_picture().shape == (274, 350, 3)
    assert "picture of our own" in dataset("scream_dsprites").notes[0]
    assert ScreamDSprites().identity() == {
        "name": "scream_dsprites", "version": 1, "background": None,
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["png", "jpg", "webp", "gif", "tiff", "bmp", "ppm"])
def test_an_operators_picture_is_made_to_fit(tmp_path: Path, kind: str) -> None:
    file = tmp_path / f"picture.{kind}"
    pixels = np.zeros((600, 700, 3), dtype=np.uint8)
    pixels[:, 350:] = 255
    Image.fromarray(pixels).save(file)
    read = read_picture(file)
    # 600 rows become 274, and the proportions stay.
    assert read.shape == (274, 320, 3) and read.dtype == np.uint8
    assert read[:, :150].max() < 10 and read[:, 170:].min() > 245


def test_the_picture_is_named_by_its_digest(sprites: Dataset, data_folder: Path) -> None:
    file = data_folder / "evening.png"
    Image.fromarray(np.full((80, 90), 200, dtype=np.uint8)).save(file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    chosen = ScreamDSprites(background="evening.png")
    assert chosen.identity()["background"] == f"sha256:{digest}"
    opened = chosen.open()
    assert digest in opened.notes[0]
    tint = random_bytes(np.array([0]), 3, stream=2)[0].astype(int)
    np.testing.assert_array_equal(opened.images(0)[0, 0, 0], (200 + tint) // 2)
    file.unlink()
    with pytest.raises(MissingFile, match=r"evening\.png"):
        chosen.identity()
    with pytest.raises(MissingFile, match=r"evening\.png"):
        chosen.open()


def test_files_that_are_no_usable_picture_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(said: str) -> None:
        with pytest.raises(UnusableFile, match=said):
            read_picture(file)

    file = tmp_path / "picture.png"
    file.write_text("<html>404</html>")
    refused("Pillow reads no picture in it")
    file.write_bytes(b"")
    refused("Pillow reads no picture in it")
    # Pillow would start Ghostscript for this one.
    file.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 80 80\n%%EndComments\n%%EOF\n")
    refused("Pillow reads no picture in it")
    Image.fromarray(np.zeros((400, 63, 3), dtype=np.uint8)).save(file)
    refused("at least 64 x 64 pixels within 350 x 274, but got 43 x 274")
    Image.fromarray(np.zeros((80, 80), dtype=np.uint16)).save(file)
    refused("8 bits a channel, but got Pillow's mode I;16")
    draws = np.random.default_rng(0)
    Image.fromarray(draws.integers(0, 256, (80, 80, 3), dtype=np.uint8)).save(file)
    whole = file.read_bytes()
    assert read_picture(file).shape == (80, 80, 3)
    file.write_bytes(whole[: len(whole) // 2])
    refused("Pillow reads no picture in it")
    file.write_bytes(whole)
    monkeypatch.setattr(scream_dsprites, "PIXELS_AT_MOST", 6399)
    refused("at most 6,399 pixels, but got 80 x 80")
