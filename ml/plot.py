"""The protocol of pictures."""

from __future__ import annotations

import io
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ml.component import Component
from ml.posterior import Posterior

if TYPE_CHECKING:
    from ml.encode import EncodedRows

Curve = Sequence[tuple[int, float]]
"""(step, value) pairs."""


@dataclass(frozen=True)
class Material:
    """What there is of a run to draw from."""

    title: str
    decode: Callable[[np.ndarray], np.ndarray]
    """Latents (samples, latents) to images (samples, height, width, channels) in [0, 1]."""
    posterior: Posterior
    encoded: EncodedRows
    factor_names: tuple[str, ...]
    images: Callable[[np.ndarray], np.ndarray]
    """Indices to the data set's images (samples, height, width, channels) in [0, 1]."""
    scalars: Mapping[str, Curve]
    """Training curves by tag."""
    frames: int = 11
    """Columns of a traversal."""


class Plot(Component):
    """One picture of a run."""

    kind: ClassVar[str] = "plot"

    @abstractmethod
    def draw(self, material: Material) -> Figure:
        """The picture; it must cope with one latent, no factors and empty curves."""


def png(figure: Figure) -> bytes:
    """The figure as a PNG file, without the time of drawing: equal pictures are equal files."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=120, metadata={"Software": None})
    return file.getvalue()


def show_image(axes: Axes, image: np.ndarray) -> None:
    """An image (height, width, channels) in [0, 1] on axes without ticks."""
    grey = image.shape[-1] == 1
    axes.imshow(image[..., 0] if grey else image, cmap="gray" if grey else None, vmin=0, vmax=1)
    axes.set_xticks([])
    axes.set_yticks([])
