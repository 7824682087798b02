"""MPI3D realistic, read from `mpi3d_realistic.npz`."""

from __future__ import annotations

from typing import ClassVar, Literal

from ml.components.registry import register
from ml.datasets.protocol import OperatorPath
from ml.datasets.published._mpi3d import Mpi3d


@register
class Mpi3dRealistic(Mpi3d):
    """MPI3D realistic: 1,036,800 realistic renderings of an object on a robot's arm, 64 x 64.

    Every combination of seven factors occurs once, in the order of the index: object_color (6),
    object_shape (6), object_size (2), camera_height (3), background_color (3), horizontal_axis
    (40), vertical_axis (40). The last two are the angles of the arm's two joints.

    File: `mpi3d_realistic.npz`, with `images` uint8 (1036800, 64, 64, 3). The number of its
    bytes is not known here; unpacked it has 12.7 GB, which are prepared once. Licence: Creative
    Commons Attribution 4.0. It is published at
    https://github.com/rr-learning/disentanglement_dataset. Its MD5 at its former place was
    59a6225b88b635365f70c91b3e52f70f; it is not checked, as the file may be packed anew where it
    is now.

    disentanglement_lib gives 4 colours and 4 shapes for this file. The published file has 6 and 6,
    as its own page says, and its length is checked.

    References:
        Gondal et al., 2019, https://arxiv.org/abs/1906.03292
    """

    version: ClassVar[int] = 1
    published: ClassVar[str] = (
        "https://github.com/rr-learning/disentanglement_dataset as mpi3d_realistic.npz"
    )
    name: Literal["mpi3d_realistic"] = "mpi3d_realistic"
    path: OperatorPath = "mpi3d_realistic.npz"
    """The published file, relative to the data folder."""
