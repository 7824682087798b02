"""Draws the rooms in the order that pyproject.toml holds them in, and writes the tables of them.

The drawing is images/rooms.svg. The tables are those of architecture.md, a line a room, from the
rooms' docstrings.

python docs/write_rooms.py
"""

from __future__ import annotations

import ast
import re
import tomllib
from html import escape
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent
PICTURE = FOLDER / "images" / "rooms.svg"
PAGE = FOLDER / "architecture.md"
TABLES = re.compile(r"^### `(\w+)/`\n\n(?:\|.*\n)+", re.MULTILINE)

WIDTH = 1000
ROW, GAP, HEAD, EDGE = 30, 6, 46, 12
FONT = "font-family='system-ui, sans-serif'"
COLOURS = {
    "heddle": "#7a5195",
    "api": "#2f6db3",
    "worker": "#c46a1b",
    "migrations": "#6b7280",
    "ml": "#2b7a4b",
    "store": "#a23b4a",
}
ABOUT = {
    "heddle": "client, commands, a service",
    "api": "the REST service",
    "worker": "Celery: claims, trains, scores",
    "migrations": "how the tables came to be",
    "ml": "spec, data, models, training, scores, pictures",
    "store": "the database and the files",
}


class Box(NamedTuple):
    """Where a package is drawn."""

    x: int
    y: int
    width: int
    layers: tuple[tuple[str, ...], ...]

    @property
    def height(self) -> int:
        return HEAD + len(self.layers) * (ROW + GAP) + EDGE - GAP


def layers() -> dict[str, tuple[tuple[str, ...], ...]]:
    """The rooms of each package, the highest first, those that stand side by side together."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found = {}
    for contract in config["tool"]["importlinter"]["contracts"]:
        # Rooms within rooms have contracts, too; they are not drawn.
        for package in set(contract.get("containers", ())) & COLOURS.keys():
            found[package] = tuple(
                tuple(room.strip() for room in layer.split("|")) for layer in contract["layers"]
            )
    return found


def picture() -> str:
    """The drawing, as SVG."""
    rooms = layers()
    heddle = Box(20, 60, 240, rooms["heddle"])
    api = Box(320, 60, 300, rooms["api"])
    worker = Box(680, 60, 300, rooms["worker"])
    # What is imported stands below, and migrations between.
    ground = max(_below(heddle) + 40, _below(api) + 40, _below(worker) + 160)
    migrations = Box(740, ground - 100, 240, ())
    ml, store = Box(20, ground, 560, rooms["ml"]), Box(640, ground, 340, rooms["store"])
    boxes = {
        "heddle": heddle,
        "api": api,
        "worker": worker,
        "migrations": migrations,
        "ml": ml,
        "store": store,
    }
    height = max(map(_below, boxes.values())) + 20
    lines = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' {FONT}>",
        f"<rect width='{WIDTH}' height='{height}' fill='white'/>",
        "<defs><marker id='end' viewBox='0 0 10 10' refX='9' refY='5' markerWidth='7'"
        " markerHeight='7' orient='auto'><path d='M0 0L10 5L0 10z' fill='#555'/></marker></defs>",
        _text(20, 32, "A room imports only from rooms below it.", 17, "#222", weight=600),
        _text(
            980,
            32,
            "arrow: imports; dashed: speaks to; white: a folder, else a file",
            12,
            "#555",
            anchor="end",
        ),
        _arrow("M260 110H318", dashed=True),
        _text(289, 103, "HTTP", 11.5, "#555", anchor="middle"),
        _arrow("M620 110H678", dashed=True),
        _text(649, 103, "a hint", 11.5, "#555", anchor="middle"),
        _arrow(f"M110 {_below(heddle)}V{ground - 2}"),
        _text(118, (_below(heddle) + ground) / 2, "local alone", 11.5, "#555"),
        _arrow(f"M400 {_below(api)}V{ground - 2}"),
        _arrow(f"M590 {_below(api)}L668 {ground - 2}"),
        _arrow(f"M692 {_below(worker)}v20H650V{ground - 16}H556V{ground - 2}"),
        _arrow(f"M712 {_below(worker)}V{ground - 2}"),
        _arrow(f"M860 {_below(migrations)}V{ground - 2}"),
    ]
    for package, box in boxes.items():
        lines += _package(package, box)
    return "\n".join([*lines, "</svg>", ""])


def _package(name: str, box: Box) -> list[str]:
    colour = COLOURS[name]
    lines = [
        f"<rect x='{box.x}' y='{box.y}' width='{box.width}' height='{box.height}' rx='10'"
        f" fill='{colour}' fill-opacity='0.10' stroke='{colour}'/>",
        _text(box.x + EDGE, box.y + 20, f"{name}/", 15, colour, weight=700),
        _text(box.x + EDGE, box.y + 37, ABOUT[name], 12, "#444"),
    ]
    for number, layer in enumerate(box.layers):
        width = (box.width - 2 * EDGE - (len(layer) - 1) * GAP) / len(layer)
        top = box.y + HEAD + number * (ROW + GAP)
        for place, room in enumerate(layer):
            left = box.x + EDGE + place * (width + GAP)
            is_folder = (ROOT / name / room).is_dir()
            lines += [
                f"<rect x='{left:.0f}' y='{top}' width='{width:.0f}' height='{ROW}' rx='5'"
                f" fill='{'white' if is_folder else 'none'}' stroke='{colour}'"
                f" stroke-opacity='{0.8 if is_folder else 0.35}'/>",
                _text(left + width / 2, top + 20, room, 12.5, "#222", anchor="middle"),
            ]
    return lines


def _text(
    x: float,
    y: float,
    text: str,
    size: float,
    fill: str,
    *,
    weight: int = 400,
    anchor: str = "start",
) -> str:
    return (
        f"<text x='{x:.0f}' y='{y:.0f}' font-size='{size}' fill='{fill}' font-weight='{weight}'"
        f" text-anchor='{anchor}'>{escape(text)}</text>"
    )


def _arrow(path: str, *, dashed: bool = False) -> str:
    dashes = " stroke-dasharray='5 4'" if dashed else ""
    return (
        f"<path d='{path}' stroke='#555' stroke-width='1.5' fill='none'{dashes}"
        " marker-end='url(#end)'/>"
    )


def _below(box: Box) -> int:
    return box.y + box.height


def page() -> str:
    """architecture.md with its tables made anew."""
    rooms = layers()

    def tables(found: re.Match[str]) -> str:
        package = found[1]
        lines = [_line(ROOT / package / room) for layer in rooms[package] for room in layer]
        return "\n".join([f"### `{package}/`\n", "| | |", "| --- | --- |", *lines, ""])

    return TABLES.sub(tables, PAGE.read_text(encoding="utf-8"))


def _line(room: Path) -> str:
    is_folder = room.is_dir()
    file = room / "__init__.py" if is_folder else room.with_suffix(".py")
    docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    summary = " ".join(docstring.partition("\n\n")[0].split())
    name = f"{room.relative_to(ROOT)}/" if is_folder else str(file.relative_to(ROOT))
    return f"| `{name}` | {summary} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    PICTURE.write_text(picture(), encoding="utf-8")
