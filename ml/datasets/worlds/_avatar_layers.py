"""Avatars in three layers, each drawn once and then put on top of one another.

`python-avatars` writes an avatar as SVG, and `resvg` draws it. The body, the face and the top of an
avatar are drawn apart, as transparent pictures. No part of one layer depends on another layer, so
156 small pictures make all images. An image made of layers differs by at most 3 of 255 grey levels
from the whole avatar drawn at once, as each layer's colours are rounded.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping
from xml.etree import ElementTree

import numpy as np
from jaxtyping import UInt8, UInt16
from PIL import Image

LAYERS: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "Body": {
        "background": {"mint": "#CDEBDD", "sand": "#F6E3C5", "lilac": "#DCD3F2"},
        "skin": {"pale": "#FFDBB4", "light": "#EDB98A", "brown": "#AE5D29", "dark": "#614335"},
        "clothing_colour": {"red": "#FF5C5C", "blue": "#25557C", "white": "#FFFFFF"},
    },
    "Face": {
        "mouth": {
            "smile": "SMILE",
            "serious": "SERIOUS",
            "sad": "SAD",
            "shout": "SCREAM_OPEN",
        },
        "eyes": {"open": "DEFAULT", "happy": "HAPPY", "surprised": "SURPRISED"},
        "eyebrows": {"level": "DEFAULT", "raised": "RAISED_EXCITED"},
    },
    "Top": {
        "hair": {
            "flat": "SHORT_FLAT",
            "short_curls": "SHORT_CURLY",
            "bun": "BUN",
            "bob": "BOB",
            "curls": "CURLY",
            "straight": "STRAIGHT_STRAND",
        },
        "hair_colour": {
            "black": "#2C1B18",
            "brown": "#724133",
            "blond": "#D6B370",
            "red": "#C93305",
        },
        "beard": {"no": "NONE", "yes": "BEARD_MEDIUM"},
        "glasses": {"no": "NONE", "yes": "ROUND"},
    },
}
"""The factors of each layer from the lowest to the highest: {layer: {factor: {value: part}}}.

A layer is called as its group in the SVG. A part is a colour or a name in `python-avatars`."""

FACTORS: Mapping[str, Mapping[str, str]] = {
    factor: values for layer in LAYERS.values() for factor, values in layer.items()
}
VIEW = "20 2 224 224"
"""The part of an avatar's 264 x 280 units that an image shows: left, top, width and height."""
SHOWN_BY = {"Body": ("Body", "Clothing"), "Face": ("Face",), "Top": ("Top",)}
"""The groups of the SVG that each layer draws."""


def sizes(layer: str) -> tuple[int, ...]:
    """How many values each factor of a layer has."""
    return tuple(len(values) for values in LAYERS[layer].values())


def svg(values: Mapping[str, str]) -> str:
    """The whole avatar as `python-avatars` writes it.

    Args:
        values: the value of each factor. Its first value stands for a factor that is left out.
    """
    # Imported only here, as the catalogue need not wait for it.
    import python_avatars as parts

    part = {name: known[values.get(name, next(iter(known)))] for name, known in FACTORS.items()}
    avatar = parts.Avatar(
        style=parts.AvatarStyle.TRANSPARENT,
        skin_color=part["skin"],
        clothing=parts.ClothingType.HOODIE,
        clothing_color=part["clothing_colour"],
        mouth=parts.MouthType[part["mouth"]],
        eyes=parts.EyeType[part["eyes"]],
        eyebrows=parts.EyebrowType[part["eyebrows"]],
        nose=parts.NoseType.DEFAULT,
        top=parts.HairType[part["hair"]],
        hair_color=part["hair_colour"],
        facial_hair=parts.FacialHairType[part["beard"]],
        facial_hair_color=part["hair_colour"],
        accessory=parts.AccessoryType[part["glasses"]],
    )
    return str(avatar.render())


def drawn(
    values: Mapping[str, str], size: int, layers: tuple[str, ...] = tuple(LAYERS)
) -> UInt8[np.ndarray, "size size 4"]:
    """These layers of an avatar as red, green, blue and opacity. The body has a background."""
    import resvg_py

    # The text is the package's own, and nobody else's.
    tree = ElementTree.fromstring(svg(values))  # noqa: S314
    tree.set("viewBox", VIEW)
    tree.set("width", str(size))
    tree.set("height", str(size))
    for layer, groups in SHOWN_BY.items():
        for group in groups if layer not in layers else ():
            found = tree.find(f".//*[@id='transparent_{group}']")
            if found is None:
                raise LookupError(f"python-avatars writes no group {group} of an avatar")
            found.set("display", "none")
    backgrounds = FACTORS["background"]
    png = resvg_py.svg_to_bytes(
        svg_string=ElementTree.tostring(tree, encoding="unicode"),
        background=backgrounds[values["background"]] if "Body" in layers else None,
        skip_system_fonts=True,
    )
    return np.array(Image.open(io.BytesIO(png)).convert("RGBA"))


def layer(name: str, size: int) -> UInt8[np.ndarray, "combinations size size 4"]:
    """A layer with every combination of its factors, the last of which changes fastest."""
    factors = LAYERS[name]
    combinations = np.ndindex(sizes(name))
    values = [list(known) for known in factors.values()]
    return np.stack(
        [
            drawn(
                {factor: values[i][at[i]] for i, factor in enumerate(factors)},
                size,
                (name,),
            )
            for at in combinations
        ]
    )


def over(
    above: UInt8[np.ndarray, "*above size size 4"], below: UInt8[np.ndarray, "*below size size 3"]
) -> UInt8[np.ndarray, "*both size size 3"]:
    """Pictures with an opacity on opaque ones, in whole numbers and rounded to the nearest."""
    colour, rest = _weighed(above)
    return _blend(colour, rest, below)


def blocks(size: int) -> Iterator[UInt8[np.ndarray, "images size size 3"]]:
    """All images in the order of the grid. A block has one body, with all faces and tops."""
    bodies = layer("Body", size)[..., :3]
    faces = layer("Face", size)
    colour, rest = _weighed(layer("Top", size))
    tops = math.prod(sizes("Top"))
    for body in bodies:
        block = np.empty((len(faces) * tops, size, size, 3), dtype=np.uint8)
        for i, below in enumerate(over(faces, body)):
            block[i * tops : (i + 1) * tops] = _blend(colour, rest, below)
        yield block


def _weighed(
    pictures: UInt8[np.ndarray, "*pictures size size 4"],
) -> tuple[
    UInt16[np.ndarray, "*pictures size size 3"], UInt16[np.ndarray, "*pictures size size 1"]
]:
    """Colours times opacity, and what the opacity leaves of 255."""
    opacity = pictures[..., 3:].astype(np.uint16)
    return pictures[..., :3] * opacity, 255 - opacity


def _blend(
    colour: UInt16[np.ndarray, "*above size size 3"],
    rest: UInt16[np.ndarray, "*above size size 1"],
    below: UInt8[np.ndarray, "*below size size 3"],
) -> UInt8[np.ndarray, "*both size size 3"]:
    # (opacity * colour + (255 - opacity) * below) / 255, which 16 bits hold, rounded.
    total = rest * below
    total += colour
    total += 127
    total //= 255
    blended: np.ndarray = total.astype(np.uint8)
    return blended
