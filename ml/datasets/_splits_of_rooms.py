"""The published compositional splits of coloured rooms with an object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

SPLITS: Mapping[str, Sequence[Mapping[str, Sequence[int]]]] = {
    "extrapolation": [{"floor_hue": range(5, 10)}],
    "shape_to_object_hue": [{"shape": [3], "object_hue": range(5, 10)}],
    "shape_to_floor_hue": [{"shape": [3], "floor_hue": range(5, 10)}],
    "leave_one_out": [
        {
            "floor_hue": [8, 9],
            "wall_hue": [8, 9],
            "object_hue": [8, 9],
            "scale": [5, 6, 7],
            "shape": [1],
            "orientation": [12, 13, 14],
        }
    ],
}
"""Those of Montero et al. 2022 for 3D Shapes: half of the floor hues, capsules in half of the hues,
and one corner of all combinations."""
