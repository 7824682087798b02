"""The rooms of rooms3d: rays are cast once for each view, and hues are looked up.

A room has a floor and two walls that meet in a corner. An object stands on the floor, and the
camera moves around it. What a pixel shows does not depend on the hues, so rays are cast for each
scale, shape and orientation alone. That gives the weights with which a pixel takes the colours of
the floor, the walls and the object, and white.

Every machine gives the same bytes: floating-point numbers are only added, multiplied, divided,
compared and put under square roots, which IEEE 754 defines to the last bit. Sines and cosines are
rounded to 2^-30, and all sums over samples are of whole numbers.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

FACTOR_NAMES = ("floor_hue", "wall_hue", "object_hue", "scale", "shape", "orientation")
FACTOR_SIZES = (10, 10, 10, 8, 4, 15)
VIEWS = FACTOR_SIZES[3:]
SHAPES = ("cube", "cylinder", "sphere", "capsule")
SCALES = np.linspace(0.75, 1.25, 8)
AZIMUTHS = np.linspace(-30.0, 30.0, 15)
"""Degrees by which the camera stands to the left or right of the line that halves the corner."""
SIDE = 64
"""Width and height of an image in pixels."""

WALL = -2.2
"""One wall is the plane x = WALL, and the other is y = WALL. The floor is z = 0."""
CAMERA_DISTANCE, CAMERA_HEIGHT, TARGET_HEIGHT = 6.0, 3.4, 0.9
HALF_VIEW = 0.35
"""Half the width of the view, at a distance of 1 from the camera."""
SAMPLES = 4
"""A pixel is the mean of SAMPLES x SAMPLES rays."""
LIGHT = (0.1, 1.0, 1.15)
"""The direction from which light comes. It is not in the plane that halves the corner, so that
views from the left are no mirror images of views from the right."""
LIGHT_SPREAD = 0.25
LIGHTS = 8
"""Shadows are soft: the light is a square of LIGHTS x LIGHTS lights."""

ONE = 1 << 12
"""The weight 1 of a single ray, in whole numbers."""
FLOOR, WALLS, OBJECT, WHITE = range(4)

Vectors: TypeAlias = NDArray[np.float64]
"""(3, n): x, y and z of n points or directions, or (3, 1) for one."""
Numbers: TypeAlias = NDArray[np.float64]
Interval: TypeAlias = tuple[Numbers, Numbers]
"""Where rays enter and leave a body. Rays that miss it leave before they enter."""


def hues() -> NDArray[np.uint16]:
    """The ten colours, (10, 3): full saturation and value, hues 36 degrees apart, red first."""
    # A sixth of the circle is 5, and a hue is 3 from the next, so all numbers are whole.
    from_peak = (3 * np.arange(10)[:, None] - np.array([0, 10, 20])) % 30
    colours: NDArray[np.uint16] = (51 * np.clip(np.abs(from_peak - 15) - 5, 0, 5)).astype(np.uint16)
    return colours


def blocks() -> Iterator[NDArray[np.uint8]]:
    """All images in the order of their index, in blocks of (480, 64, 64, 3) with the same hues."""
    weights = all_weights()
    for floor, walls, thing in np.ndindex(FACTOR_SIZES[:3]):
        yield coloured(weights, floor, walls, thing)


def all_weights() -> NDArray[np.uint16]:
    """`view_weights` of all views, (480, 64, 64, 4), in the order of the index."""
    return np.stack([view_weights(*view) for view in np.ndindex(VIEWS)])


def coloured(weights: NDArray[np.uint16], floor: int, walls: int, thing: int) -> NDArray[np.uint8]:
    """The images of views whose weights are (n, 64, 64, 4), with these hues: (n, 64, 64, 3)."""
    colours = hues()
    images = np.empty((*weights.shape[:-1], 3), dtype=np.uint8)
    for channel in range(3):
        # The weights of a pixel have a sum of at most 256, so that nothing overflows.
        mixed = weights[..., FLOOR] * colours[floor, channel]
        mixed += weights[..., WALLS] * colours[walls, channel]
        mixed += weights[..., OBJECT] * colours[thing, channel]
        mixed += weights[..., WHITE] * np.uint16(255)
        images[..., channel] = (mixed + np.uint16(128)) >> np.uint16(8)
    return images


def view_weights(scale: int, shape: int, orientation: int) -> NDArray[np.uint16]:
    """How much of each colour pixels take, in 256ths: (64, 64, 4).

    The last axis is floor, walls, object, white.
    """
    body = BODIES[shape](float(SCALES[scale]))
    camera, rays = _rays(math.radians(AZIMUTHS[orientation]))
    lights = _lights()
    total = np.zeros((4, SIDE * SIDE), dtype=np.int64)
    for sample, directions in enumerate(rays):
        total += _seen(body, camera, directions, lights[:, sample :: len(rays)])
    parts = total * 256 // (ONE * len(rays))
    return np.ascontiguousarray(parts.T.reshape(SIDE, SIDE, 4).astype(np.uint16))


def _rays(azimuth: float) -> tuple[Vectors, NDArray[np.float64]]:
    """Where the camera is, (3, 1), and its rays' directions, (samples, 3, pixels), of length 1."""
    around = math.pi / 4 + azimuth
    cosine, sine = _rounded(math.cos(around)), _rounded(math.sin(around))
    camera = np.array([[CAMERA_DISTANCE * cosine], [CAMERA_DISTANCE * sine], [CAMERA_HEIGHT]])
    forward = _unit(np.array([[0.0], [0.0], [TARGET_HEIGHT]]) - camera)
    right = np.array([[-sine], [cosine], [0.0]])
    up = _cross(right, forward)
    # Samples are the centres of the cells into which each pixel is divided.
    fine = SIDE * SAMPLES
    places = HALF_VIEW * ((2 * np.arange(fine) + 1) / fine - 1)
    places = places.reshape(SIDE, SAMPLES)
    rays = [
        _unit(
            forward
            + right * np.tile(places[:, across], SIDE)
            - up * np.repeat(places[:, down], SIDE)
        )
        for down in range(SAMPLES)
        for across in range(SAMPLES)
    ]
    return camera, np.stack(rays)


def _lights() -> Vectors:
    """The directions of all lights, (3, LIGHTS x LIGHTS), in an order that scatters them."""
    light = _unit(np.array(LIGHT)[:, None])
    across = _unit(_cross(np.array([[0.0], [0.0], [1.0]]), light))
    up = _cross(light, across)
    places = LIGHT_SPREAD * ((2 * np.arange(LIGHTS) + 1) / LIGHTS - 1)
    lights = _unit(light + across * np.tile(places, LIGHTS) + up * np.repeat(places, LIGHTS))
    # Each sample sees every 16th light from its own on; a step of 5 makes these lie far apart.
    return lights[:, np.arange(LIGHTS * LIGHTS) * 5 % (LIGHTS * LIGHTS)]


def _seen(body: Body, camera: Vectors, rays: Vectors, lights: Vectors) -> NDArray[np.int64]:
    """How much of floor, walls, object and white each ray sees, (4, rays), in parts of ONE."""
    with np.errstate(divide="ignore"):
        to_floor, to_wall_x, to_wall_y = (
            np.where(along < 0, (plane - start) / along, np.inf)
            for plane, start, along in (
                (0.0, camera[2], rays[2]),
                (WALL, camera[0], rays[0]),
                (WALL, camera[1], rays[1]),
            )
        )
    to_body = body.distance(camera, rays)
    to_room = np.minimum(np.minimum(to_floor, to_wall_x), to_wall_y)
    on_body = to_body < to_room
    point = camera + rays * np.where(on_body, to_body, to_room)
    floor = ~on_body & (to_floor == to_room)
    wall_x = ~on_body & ~floor & (to_wall_x == to_room)

    light = _unit(np.array(LIGHT)[:, None])
    normal = body.normal(point)
    facing = np.maximum(_dot(normal, light), 0.0)
    # Some light comes from everywhere, and more of it from above.
    of_body = 0.30 + 0.12 * normal[2] + 0.55 * facing
    half = _unit(light - rays)
    shine = np.maximum(_dot(normal, half), 0.0)
    for _ in range(4):
        shine = shine * shine
    # White and the object's colour are together at most 1.
    white = np.where(on_body & (facing > 0), (1.0 - of_body) * shine, 0.0)

    lit = np.zeros(rays.shape[1])
    for one in range(lights.shape[1]):
        lit += ~np.isfinite(body.distance(point, lights[:, one : one + 1]))
    lit /= lights.shape[1]
    # The floor is darker near the object, and edges of the room are darker than its middle.
    near = body.width * body.width
    around = point[0] * point[0] + point[1] * point[1]
    of_floor = (0.42 + 0.52 * lit) * (1.0 - 0.35 * near / (near + around))
    of_floor *= _open(point[0] - WALL) * _open(point[1] - WALL)
    of_walls = np.where(wall_x, 0.40 + 0.26 * lit, 0.40 + 0.42 * lit)
    of_walls *= _open(point[2]) * _open(np.where(wall_x, point[1], point[0]) - WALL)

    amounts = np.stack([floor * of_floor, ~(on_body | floor) * of_walls, on_body * of_body, white])
    parts: NDArray[np.int64] = np.floor(ONE * amounts).astype(np.int64)
    return parts


def _open(distance: Numbers) -> Numbers:
    """How much light reaches a point at this distance from an edge: 0.7 in the edge, 1 far off."""
    from_edge = 1.0 + 2.5 * np.maximum(distance, 0.0)
    opened: Numbers = 1.0 - 0.3 / (from_edge * from_edge)
    return opened


class Body(ABC):
    """A convex body that stands on the floor at the origin."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        """Half the width, or the radius, and the height."""

    @abstractmethod
    def inside(self, start: Vectors, along: Vectors) -> Iterator[Interval]:
        """Where rays run in the convex parts that the body consists of."""

    @abstractmethod
    def normal(self, point: Vectors) -> Vectors:
        """The outward normals of length 1 at points on the surface. Elsewhere they are anything."""

    def distance(self, start: Vectors, along: Vectors) -> Numbers:
        """How far rays run until they enter the body, and infinity where they miss it."""
        nearest: Numbers | None = None
        for enter, leave in self.inside(start, along):
            reached = np.where((enter < leave) & (leave > 1e-6), enter, np.inf)
            nearest = reached if nearest is None else np.minimum(nearest, reached)
        assert nearest is not None
        return nearest


class Cube(Body):
    def __init__(self, scale: float) -> None:
        super().__init__(0.62 * scale, 1.24 * scale)

    def inside(self, start: Vectors, along: Vectors) -> Iterator[Interval]:
        yield _both(
            _both(
                _slab(start[0], along[0], -self.width, self.width),
                _slab(start[1], along[1], -self.width, self.width),
            ),
            _slab(start[2], along[2], 0.0, self.height),
        )

    def normal(self, point: Vectors) -> Vectors:
        from_middle = point - np.array([[0.0], [0.0], [self.height / 2]])
        size = np.abs(from_middle)
        largest = np.maximum(np.maximum(size[0], size[1]), size[2])
        x = size[0] == largest
        y = ~x & (size[1] == largest)
        normal: Vectors = np.sign(from_middle) * np.stack([x, y, ~x & ~y])
        return normal


class Cylinder(Body):
    def __init__(self, scale: float) -> None:
        super().__init__(0.66 * scale, 1.3 * scale)

    def inside(self, start: Vectors, along: Vectors) -> Iterator[Interval]:
        yield _both(_tube(start, along, self.width), _slab(start[2], along[2], 0.0, self.height))

    def normal(self, point: Vectors) -> Vectors:
        top = point[2] > self.height - 1e-6
        side = _unit(np.stack([point[0], point[1], np.zeros(point.shape[1])]))
        return np.where(top, np.array([[0.0], [0.0], [1.0]]), side)


class Sphere(Body):
    def __init__(self, scale: float) -> None:
        super().__init__(0.8 * scale, 1.6 * scale)

    def inside(self, start: Vectors, along: Vectors) -> Iterator[Interval]:
        yield _ball(start, along, self.width, self.width)

    def normal(self, point: Vectors) -> Vectors:
        return _unit(point - np.array([[0.0], [0.0], [self.width]]))


class Capsule(Body):
    def __init__(self, scale: float) -> None:
        super().__init__(0.5 * scale, 1.9 * scale)

    def inside(self, start: Vectors, along: Vectors) -> Iterator[Interval]:
        low, high = self.width, self.height - self.width
        yield _both(_tube(start, along, self.width), _slab(start[2], along[2], low, high))
        yield _ball(start, along, self.width, low)
        yield _ball(start, along, self.width, high)

    def normal(self, point: Vectors) -> Vectors:
        axis = np.minimum(np.maximum(point[2], self.width), self.height - self.width)
        return _unit(np.stack([point[0], point[1], point[2] - axis]))


BODIES: tuple[Callable[[float], Body], ...] = (Cube, Cylinder, Sphere, Capsule)
"""The bodies in the order of SHAPES, each made from its scale."""


def _both(one: Interval, other: Interval) -> Interval:
    return np.maximum(one[0], other[0]), np.minimum(one[1], other[1])


def _slab(start: Numbers, along: Numbers, low: float, high: float) -> Interval:
    """Where rays run between two planes."""
    with np.errstate(divide="ignore"):
        one, other = (low - start) / along, (high - start) / along
    return np.minimum(one, other), np.maximum(one, other)


def _ball(start: Vectors, along: Vectors, radius: float, height: float) -> Interval:
    """Where rays run in a ball whose centre is at a height above the origin."""
    to_start = start - np.array([[0.0], [0.0], [height]])
    one = np.ones(1)
    return _roots(one, _dot(to_start, along), _dot(to_start, to_start) - radius * radius)


def _tube(start: Vectors, along: Vectors, radius: float) -> Interval:
    """Where rays run in the endless cylinder around the axis z."""
    square = along[0] * along[0] + along[1] * along[1]
    half = start[0] * along[0] + start[1] * along[1]
    return _roots(square, half, start[0] * start[0] + start[1] * start[1] - radius * radius)


def _roots(square: Numbers, half: Numbers, rest: Numbers) -> Interval:
    """Where square t^2 + 2 half t + rest is negative. If it nowhere is, that is from 1 to -1."""
    discriminant = half * half - square * rest
    root = np.sqrt(np.maximum(discriminant, 0.0))
    meets = discriminant > 0
    return np.where(meets, (-half - root) / square, 1.0), np.where(
        meets, (-half + root) / square, -1.0
    )


def _dot(one: Vectors, other: Vectors) -> Numbers:
    product: Numbers = one[0] * other[0] + one[1] * other[1] + one[2] * other[2]
    return product


def _cross(one: Vectors, other: Vectors) -> Vectors:
    return np.stack(
        [
            one[1] * other[2] - one[2] * other[1],
            one[2] * other[0] - one[0] * other[2],
            one[0] * other[1] - one[1] * other[0],
        ]
    )


def _unit(vectors: Vectors) -> Vectors:
    unit: Vectors = vectors / np.sqrt(_dot(vectors, vectors))
    return unit


def _rounded(number: float) -> float:
    return math.floor(number * 2**30 + 0.5) / 2**30
