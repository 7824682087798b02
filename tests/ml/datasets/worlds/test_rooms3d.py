from __future__ import annotations

import colorsys
import hashlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

from ml.datasets.protocol import dataset
from ml.datasets.worlds import _rooms3d_geometry as geometry
from ml.datasets.worlds import rooms3d
from ml.datasets.worlds._rooms3d_geometry import (
    BODIES,
    FLOOR,
    OBJECT,
    SHAPES,
    WALLS,
    WHITE,
    coloured,
    hues,
    view_weights,
)
from ml.datasets.worlds.rooms3d import Rooms3D

Points: TypeAlias = NDArray[np.float64]

SOME_VIEWS = ((0, 0, 0), (7, 1, 7), (3, 2, 14), (5, 3, 10))
SOME_VIEWS_SHA256 = "79cf05c2d4a22417dc1b7db108205c8dc9500c2d3b6c46de1042615bdabde6dd"
SOME_IMAGES_SHA256 = "c6782f148c7c22b221357e79a7082015b367e9ac434736c6dd643970bca8e052"


@pytest.fixture(scope="module")
def weights() -> NDArray[np.uint16]:
    """The weights of SOME_VIEWS, one for each shape."""
    return np.stack([view_weights(*view) for view in SOME_VIEWS])


def test_some_rooms_have_the_known_digests(weights: NDArray[np.uint16]) -> None:
    assert hashlib.sha256(weights.data).hexdigest() == SOME_VIEWS_SHA256
    images = hashlib.sha256()
    for combination in ((0, 0, 0), (9, 4, 2), (1, 1, 1)):
        images.update(coloured(weights, *combination).data)
    assert images.hexdigest() == SOME_IMAGES_SHA256


def test_the_parameters_are_the_name_alone() -> None:
    assert Rooms3D().identity() == {"name": "rooms3d", "version": 1}
    assert Rooms3D().image_shape() == (64, 64, 3)
    known = Rooms3D().known_factors()
    assert [known[name].size for name in geometry.FACTOR_NAMES] == [10, 10, 10, 8, 4, 15]
    assert known["shape"].values == SHAPES


def test_hues_are_those_of_the_standard_library() -> None:
    expected = [[255 * part for part in colorsys.hsv_to_rgb(i / 10, 1, 1)] for i in range(10)]
    np.testing.assert_allclose(hues(), expected, atol=1e-9)


def test_pixels_mix_their_colours_by_their_weights(weights: NDArray[np.uint16]) -> None:
    images = coloured(weights, 3, 8, 5)
    places = np.random.default_rng(0).integers(0, (4, 64, 64, 3), (200, 4))
    for view, row, column, channel in places.tolist():
        parts = [int(part) for part in weights[view, row, column]]
        colours = [int(hues()[hue, channel]) for hue in (3, 8, 5)] + [255]
        mixed = sum(part * colour for part, colour in zip(parts, colours, strict=True)) / 256
        assert images[view, row, column, channel] == math.floor(mixed + 0.5)
    # If they were more, the sum of 16 bits would overflow.
    assert weights.sum(axis=-1).max() <= 256


@pytest.mark.parametrize(("factor", "part"), [(0, FLOOR), (1, WALLS), (2, OBJECT)])
def test_a_hue_changes_its_own_part_of_the_picture_alone(
    weights: NDArray[np.uint16], factor: int, part: int
) -> None:
    before = [2, 2, 2]
    after = list(before)
    after[factor] = 7
    changed = (coloured(weights, *before) != coloured(weights, *after)).any(axis=-1)
    assert not changed[weights[..., part] == 0].any()
    assert changed[weights[..., part] > 8].all()
    assert (weights[..., part] > 8).sum(axis=(1, 2)).min() > 100


def test_highlights_are_on_objects_alone(weights: NDArray[np.uint16]) -> None:
    assert (weights[..., OBJECT][weights[..., WHITE] > 0] > 0).all()
    assert weights[..., WHITE].max() > 20


@pytest.mark.parametrize("shape", range(4))
def test_objects_grow_with_the_scale(shape: int) -> None:
    areas = [(view_weights(scale, shape, 4)[..., OBJECT] > 0).sum() for scale in (0, 3, 7)]
    assert areas[0] * 1.2 < areas[1] < areas[2] / 1.2


def _pixel_of(point: Points, azimuth: float) -> tuple[float, float]:
    """Row and column at which a pinhole camera on its way around the object sees a point."""
    around = math.radians(45 + azimuth)
    camera = np.array([6 * math.cos(around), 6 * math.sin(around), 3.4])
    forward = np.array([0, 0, 0.9]) - camera
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0, 0, 1])
    right /= np.linalg.norm(right)
    up = np.cross(right, forward)
    ahead = (point - camera) @ forward
    across, high = (point - camera) @ right / ahead, (point - camera) @ up / ahead
    return 32 * (1 - high / 0.35), 32 * (1 + across / 0.35)


@pytest.mark.parametrize(("orientation", "azimuth"), [(0, -30), (14, 30)])
def test_floor_and_walls_meet_where_a_pinhole_camera_sees_their_corner(
    orientation: int, azimuth: float
) -> None:
    row, column = _pixel_of(np.array([-2.2, -2.2, 0.0]), azimuth)
    across = round(column)
    view = view_weights(0, 3, orientation)
    assert 0 < across < 63
    # A pixel's row is the floor of its place, and the corner itself lies in the pixel between.
    assert (view[: math.floor(row), across, FLOOR] == 0).all()
    assert (view[math.floor(row) + 2 :, across, WALLS] == 0).all()
    assert (view[: math.floor(row), across, WALLS] > 0).all()
    assert (view[math.floor(row) + 2 :, across, FLOOR] > 0).all()


@pytest.mark.parametrize(("shape", "height"), [(0, 1.24), (1, 1.3), (2, 1.6), (3, 1.9)], ids=SHAPES)
def test_the_object_stands_in_the_middle_of_the_floor(shape: int, height: float) -> None:
    view = view_weights(2, shape, 7)
    scale = 0.75 + 0.5 * 2 / 7
    columns = np.flatnonzero(view[..., OBJECT].any(axis=0))
    assert abs(columns.mean() - 31.5) <= 0.5
    # The axis of the object is seen from the point where it stands up to its top at least.
    foot, _ = _pixel_of(np.array([0.0, 0.0, 0.0]), 0)
    top, _ = _pixel_of(np.array([0.0, 0.0, height * scale]), 0)
    axis = np.flatnonzero(view[:, 32, OBJECT])
    assert axis[0] <= top and abs(axis[0] - top) < 6
    assert foot - 1.5 < axis[-1] < foot + 8


def _in_cube(x: Points, y: Points, z: Points) -> NDArray[np.bool_]:
    return (np.maximum(np.abs(x), np.abs(y)) < 0.62) & (np.abs(z - 0.62) < 0.62)


def _in_cylinder(x: Points, y: Points, z: Points) -> NDArray[np.bool_]:
    return (np.hypot(x, y) < 0.66) & (np.abs(z - 0.65) < 0.65)


def _in_sphere(x: Points, y: Points, z: Points) -> NDArray[np.bool_]:
    return np.hypot(np.hypot(x, y), z - 0.8) < 0.8


def _in_capsule(x: Points, y: Points, z: Points) -> NDArray[np.bool_]:
    return np.hypot(np.hypot(x, y), z - np.clip(z, 0.5, 1.4)) < 0.5


@pytest.mark.parametrize(
    ("shape", "inside"),
    [(0, _in_cube), (1, _in_cylinder), (2, _in_sphere), (3, _in_capsule)],
    ids=SHAPES,
)
def test_rays_meet_a_body_where_small_steps_along_them_enter_it(
    shape: int, inside: Callable[[Points, Points, Points], NDArray[np.bool_]]
) -> None:
    draws = np.random.default_rng(shape)
    body = BODIES[shape](1.0)
    start = draws.normal(size=(3, 300))
    start *= 4 / np.linalg.norm(start, axis=0)
    # No ray comes from below the floor, on which the body stands.
    start[2] = np.abs(start[2])
    along = draws.uniform(-0.9, 0.9, (3, 300)) - start
    along[2] += 0.8
    along /= np.linalg.norm(along, axis=0)
    found = body.distance(start, along)

    steps = np.linspace(0, 8, 8001)
    entered = inside(*(start[..., None] + along[..., None] * steps))
    meets = entered.any(axis=1)
    np.testing.assert_allclose(found[meets], steps[entered.argmax(axis=1)][meets], atol=0.0011)
    # Small steps pass over the edges that rays only graze.
    assert np.isinf(found[~meets]).mean() > 0.95
    assert 50 < meets.sum() < 290

    point = (start + along * np.where(meets, found, 0.0))[:, meets]
    normal = body.normal(point)
    np.testing.assert_allclose(np.linalg.norm(normal, axis=0), 1)
    assert not inside(*(point + 1e-4 * normal)).any()
    assert inside(*(point - 1e-4 * normal)).all()


def test_the_images_are_kept_as_a_grid_and_mapped_after_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = (2, 1, 3, 2, 4, 2)
    monkeypatch.setenv("HEDDLE_DATA", str(tmp_path))
    monkeypatch.setattr(geometry, "FACTOR_SIZES", sizes)
    monkeypatch.setattr(geometry, "VIEWS", sizes[3:])
    monkeypatch.setattr(rooms3d, "FACTOR_SIZES", sizes)
    whole = b"".join(block.tobytes() for block in geometry.blocks())
    monkeypatch.setattr(rooms3d, "SHA256", hashlib.sha256(whole).hexdigest())
    done: list[tuple[int, int]] = []
    opened = Rooms3D().open(lambda images, of: done.append((images, of)))
    assert done == [(16 * block, 96) for block in range(1, 7)]
    assert opened.factor_names == (
        "floor_hue", "wall_hue", "object_hue", "scale", "shape", "orientation",
    )  # fmt: skip
    assert (opened.is_grid, opened.source, opened.max_value) == (True, "rendered", 255)
    assert opened.factor_values == {"shape": ("cube", "cylinder", "sphere", "capsule")}
    image = opened.images(opened.index([[1, 0, 2, 1, 3, 0]]))
    np.testing.assert_array_equal(image, coloured(view_weights(1, 3, 0)[None], 1, 0, 2))

    monkeypatch.setattr(geometry, "blocks", None)
    again = dataset("rooms3d")
    assert again.images(slice(None)).tobytes() == whole


@pytest.mark.slow
def test_all_rooms_differ_and_have_the_known_digest() -> None:
    whole, pictures = hashlib.sha256(), set()
    for block in geometry.blocks():
        whole.update(block.data)
        pictures.update(hashlib.blake2b(image.data, digest_size=16).digest() for image in block)
    assert len(pictures) == 480_000
    assert whole.hexdigest() == rooms3d.SHA256
