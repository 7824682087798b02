"""MPI3D real complex, read from `real3d_complicated_shapes_ordered.npz`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from ml.components.registry import register
from ml.datasets.protocol import OperatorPath
from ml.datasets.published._mpi3d import Mpi3d


@register
class Mpi3dRealComplex(Mpi3d):
    """MPI3D real complex: 460,800 photographs of everyday things on a robot's arm, 64 x 64.

    Every combination of seven factors occurs once, in the order of the index: object_color (4),
    object_shape (4), object_size (2), camera_height (3), background_color (3), horizontal_axis
    (40), vertical_axis (40). The last two are the angles of the arm's two joints.

    File: `real3d_complicated_shapes_ordered.npz`, whose checksum is not known here, with `images`
    uint8 (460800, 64, 64, 3). The number of its bytes is not known here; unpacked it has 5.7 GB,
    which are prepared once. Licence: Creative Commons Attribution 4.0. It is published at
    https://github.com/rr-learning/disentanglement_dataset.

    The objects are a coffee cup, a tennis ball, a croissant and a beer cup.

    References:
        Gondal et al., 2019, https://arxiv.org/abs/1906.03292
    """

    version: ClassVar[int] = 1
    published: ClassVar[str] = (
        "https://github.com/rr-learning/disentanglement_dataset"
        " as real3d_complicated_shapes_ordered.npz"
    )
    published_size: ClassVar[str] = "5.7 GB unpacked, less in the file"
    factors: ClassVar[Mapping[str, int]] = {**Mpi3d.factors, "object_color": 4, "object_shape": 4}
    names_of_values: ClassVar[Mapping[str, tuple[str, ...]]] = {
        **Mpi3d.names_of_values,
        "object_color": ("yellow", "green", "olive", "red"),
        "object_shape": ("coffee-cup", "tennis-ball", "croissant", "beer-cup"),
    }
    name: Literal["mpi3d_real_complex"] = "mpi3d_real_complex"
    path: OperatorPath = "real3d_complicated_shapes_ordered.npz"
    """The published file, relative to the data folder."""
