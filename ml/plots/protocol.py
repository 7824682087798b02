"""The protocol of pictures: what there is to draw from, and how a picture becomes a file."""

from __future__ import annotations

import io
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ml.codes.latents import latent_label
from ml.components.component import Component
from ml.datasets.protocol import Dataset
from ml.objectives.posteriors.protocol import Posterior
from ml.objectives.posteriors.traversals import Span
from ml.plots.figure_text import letter_by_letter
from ml.studies.study import Study

if TYPE_CHECKING:
    from ml.evaluation.encode import EncodedRows
    from ml.metrics.protocol import Score

Curve = Sequence[tuple[int, float]]
"""(step, value) pairs."""

Format = Literal["png", "svg"]
DPI = 120
"""Pixels an inch of a PNG file."""
Needs = frozenset[Literal["scores", "snapshots"]]


@dataclass(frozen=True)
class Snapshot:
    """A model as it was while it was trained."""

    step: int
    """Steps trained."""
    decode: Callable[[np.ndarray], np.ndarray]
    """As that of `Material`."""
    encode: Callable[[np.ndarray], np.ndarray]
    """Images (samples, height, width, channels) in [0, 1] to codes (samples, latents)."""


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
    """Columns of a traversal, where nobody asks for another number."""
    span: Span = "quantiles"
    """What a traversal goes through, where nobody asks for another."""
    encode: Callable[[np.ndarray], np.ndarray] | None = None
    """As that of `Snapshot`; None where the encoder is not at hand."""
    latent_names: Mapping[int, str] = field(default_factory=dict)
    """What people call latents, by number; not all have a name."""
    scores: Sequence[Score] = ()
    """Of all its evaluations, newest last."""
    snapshots: Sequence[Snapshot] = ()
    """In rising order of steps, the trained model last; empty where none were kept."""

    def label(self, latent: int) -> str:
        """`z3`, or with the name that people gave it `z3 smile`."""
        return latent_label(latent, self.latent_names)


class Plot(Component):
    """One picture; its fields are what a client may choose of it."""

    kind: ClassVar[str] = "plot"
    of: ClassVar[Literal["run", "study", "dataset"]]


class RunPlot(Plot):
    """A picture of one run."""

    of: ClassVar[Literal["run", "study", "dataset"]] = "run"
    early: ClassVar[bool] = False
    """Drawn by the worker at the end of an evaluation; the others are drawn when asked for."""
    needs: ClassVar[Needs] = frozenset()
    """What it draws of a material that has not always been read."""

    @abstractmethod
    def draw(self, material: Material) -> Figure:
        """The picture.

        It must cope with one latent and a hundred, one factor and none, empty curves, no scores,
        no snapshots, and an encoder without noise (NaN for its KL).

        Raises:
            NothingToDraw: this run has nothing of what it shows.
        """


class StudyPlot(Plot):
    """A picture of all runs of an experiment."""

    of: ClassVar[Literal["run", "study", "dataset"]] = "study"

    @abstractmethod
    def draw(self, study: Study) -> Figure:
        """The picture.

        It must cope with one run, one seed, failed runs, missing scores, and no scores.

        Raises:
            NothingToDraw: the study has nothing of what it shows.
            InvalidSpec: a param names a column or a path that the study does not have.
        """


class DatasetPlot(Plot):
    """A picture of a data set."""

    of: ClassVar[Literal["run", "study", "dataset"]] = "dataset"

    @abstractmethod
    def draw(self, data: Dataset) -> Figure:
        """The picture; it must cope with no factors and with images in colour."""


class NothingToDraw(Exception):
    """What a plot shows is not there; the message says what is missing, and how to get it."""


def png(figure: Figure) -> bytes:
    """The figure as a PNG file, without the time of drawing: equal pictures are equal files."""
    return to_file(figure, "png")


def to_file(figure: Figure, format: Format) -> bytes:
    """The figure as a file, without the time of drawing; letters stay letters in an SVG.

    All its text is drawn letter by letter, and a dollar is a dollar.
    """
    file = io.BytesIO()
    with letter_by_letter(figure):
        if format == "png":
            figure.savefig(file, format="png", dpi=DPI, metadata={"Software": None})
        else:
            with mpl.rc_context({"svg.hashsalt": "heddle", "svg.fonttype": "none"}):
                figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return file.getvalue()


def show_image(axes: Axes, image: np.ndarray) -> None:
    """An image (height, width, channels) in [0, 1] on axes without ticks."""
    grey = image.shape[-1] == 1
    axes.imshow(image[..., 0] if grey else image, cmap="gray" if grey else None, vmin=0, vmax=1)
    axes.set_xticks([])
    axes.set_yticks([])
