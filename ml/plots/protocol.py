"""The protocol of pictures: the material they are drawn from, and how they become files.

Everything that knows the catalogue imports all plots, and few processes draw. So plots import
matplotlib, which takes half a second, only where they draw.
"""

from __future__ import annotations

import io
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from ml.codes.latents import latent_label
from ml.components.component import Component
from ml.datasets.dataset import Dataset, FactorKind
from ml.objectives.posteriors.protocol import Posterior
from ml.objectives.posteriors.traversals import Span
from ml.studies.study import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
    """A model as it was during its training."""

    step: int
    """Steps that it was trained for."""
    decode: Callable[[np.ndarray], np.ndarray]
    """The same as `decode` of `Material`."""
    encode: Callable[[np.ndarray], np.ndarray]
    """Images (samples, height, width, channels) in [0, 1] to codes (samples, latents)."""


@dataclass(frozen=True)
class Material:
    """Everything that a run's pictures are drawn from."""

    title: str
    decode: Callable[[np.ndarray], np.ndarray]
    """Latents (samples, latents) to images (samples, height, width, channels) in [0, 1]."""
    posterior: Posterior
    encoded: EncodedRows
    factor_names: tuple[str, ...]
    """The names of the columns of `encoded.factors`."""
    images: Callable[[np.ndarray], np.ndarray]
    """Indices to the data set's images (samples, height, width, channels) in [0, 1]."""
    scalars: Mapping[str, Curve]
    """Training curves by tag."""
    frames: int = 11
    """Default number of columns of a traversal."""
    span: Span = "quantiles"
    """Default span of a traversal."""
    encode: Callable[[np.ndarray], np.ndarray] | None = None
    """The same as `encode` of `Snapshot`; None without the encoder."""
    latent_names: Mapping[int, str] = field(default_factory=dict)
    """People's names for latents, by number. A latent may have no name."""
    scores: Sequence[Score] = ()
    """Scores of all evaluations, the newest last."""
    snapshots: Sequence[Snapshot] = ()
    """Snapshots in rising order of steps, with the trained model last; empty if none were kept."""
    factor_kinds: tuple[FactorKind, ...] = ()
    """Whether each factor is discrete or continuous. If it is not given, all are discrete."""

    def __post_init__(self) -> None:
        if not self.factor_kinds:
            object.__setattr__(self, "factor_kinds", ("discrete",) * len(self.factor_names))

    def label(self, latent: int) -> str:
        """The latent's label: `z3`, or `z3 smile` if people gave it this name."""
        return latent_label(latent, self.latent_names)


class Plot(Component):
    """A kind of picture. Its fields are the params that a client may choose."""

    kind: ClassVar[str] = "plot"
    of: ClassVar[Literal["run", "study", "dataset"]]


class RunPlot(Plot):
    """A picture of one run."""

    of: ClassVar[Literal["run", "study", "dataset"]] = "run"
    early: ClassVar[bool] = False
    """Whether the worker draws it at the end of an evaluation. Others are drawn when asked for."""
    needs: ClassVar[Needs] = frozenset()
    """The parts of the material that it needs, and that are read only if needed."""

    @abstractmethod
    def draw(self, material: Material) -> Figure:
        """Draw the picture.

        It must cope with one latent and a hundred, one factor and none, empty curves, no scores,
        no snapshots, and an encoder without noise (NaN for its KL).

        Raises:
            NothingToDraw: the run has nothing that the picture shows.
        """


class StudyPlot(Plot):
    """A picture of all runs of an experiment."""

    of: ClassVar[Literal["run", "study", "dataset"]] = "study"

    @abstractmethod
    def draw(self, study: Study) -> Figure:
        """Draw the picture.

        It must cope with one run, one seed, failed runs, missing scores, and no scores.

        Raises:
            NothingToDraw: the study has nothing that the picture shows.
            InvalidSpec: a param names a column or a path that the study does not have.
        """


class DatasetPlot(Plot):
    """A picture of a data set."""

    of: ClassVar[Literal["run", "study", "dataset"]] = "dataset"

    @abstractmethod
    def draw(self, data: Dataset) -> Figure:
        """Draw the picture. It must cope with no factors and with images in colour."""


class NothingToDraw(Exception):
    """A plot has nothing to show. The message says what is missing, and how to get it."""


def png(figure: Figure) -> bytes:
    """The figure as a PNG file, without the time of drawing, so that equal pictures are equal."""
    return to_file(figure, "png")


def to_file(figure: Figure, format: Format) -> bytes:
    """The figure as a file, without the time of drawing. Letters stay letters in an SVG.

    All text is drawn letter by letter, so that a dollar stays a dollar.
    """
    import matplotlib as mpl

    from ml.plots.figure_text import letter_by_letter

    file = io.BytesIO()
    with letter_by_letter(figure):
        if format == "png":
            figure.savefig(file, format="png", dpi=DPI, metadata={"Software": None})
        else:
            with mpl.rc_context({"svg.hashsalt": "heddle", "svg.fonttype": "none"}):
                figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return file.getvalue()


def show_image(axes: Axes, image: np.ndarray) -> None:
    """Show an image (height, width, channels) in [0, 1] on axes without ticks."""
    grey = image.shape[-1] == 1
    axes.imshow(image[..., 0] if grey else image, cmap="gray" if grey else None, vmin=0, vmax=1)
    axes.set_xticks([])
    axes.set_yticks([])
