"""Images that the model generates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field
from scipy.special import ndtr, ndtri

from ml.components.registry import register
from ml.plots.drawing.sheet import COLUMN, PAGE, sheet
from ml.plots.drawing.tiles import show_tiles, tiles
from ml.plots.protocol import Material, RunPlot
from ml.reproducibility.draws import MAX_SEED, generator

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@register
class PriorSamples(RunPlot):
    """Images decoded from the prior, N(0, I).

    A model whose encoder has no noise has no prior. Its latents are drawn from a Gaussian with the
    mean and covariance of its codes, and the title says so. The same seed draws the same latents on
    every machine. With `truncation` t, each coordinate of the noise is moved to the number that has
    the same share below it in the normal distribution cut off at -t and t. Images then become more
    typical and less diverse, and stay recognisable.
    """

    name: Literal["prior_samples"] = "prior_samples"
    rows: Annotated[int, Field(ge=1, le=20)] = 6
    """Rows of images."""
    columns: Annotated[int, Field(ge=1, le=20)] = 10
    """Images in a row."""
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] = 0
    """Seed of the draws."""
    truncation: Annotated[float, Field(gt=0, le=10)] | None = None
    """Most deviations of the noise from 0; null sets no limit."""

    def draw(self, material: Material) -> Figure:
        latents = material.encoded.mean.shape[1]
        noise = generator(self.seed, "prior samples").standard_normal(
            (self.rows * self.columns, latents)
        )
        if self.truncation is not None:
            noise = truncated(noise, self.truncation)
        source = "samples of the prior N(0, I)"
        if np.isnan(material.encoded.kl).any():
            noise = like(material.encoded.mean, noise)
            source = "samples of a Gaussian fitted to the codes, as this model has no prior"
        cut = f", cut off at {self.truncation:g} deviations" if self.truncation is not None else ""
        sheet_of_images = tiles(material.decode(noise.astype(np.float32)), self.columns)
        height, width = sheet_of_images.shape[:2]
        inches = min(PAGE, max(COLUMN, 0.45 * self.columns))
        figure = sheet(inches, inches * height / width + 0.05, f"{material.title}: {source}{cut}")
        show_tiles(figure.subplots(), sheet_of_images)
        return figure


def truncated(noise: np.ndarray, most: float) -> np.ndarray:
    """Standard normal noise, moved to the normal distribution cut off at `-most` and `most`.

    Each number becomes the one with the same share of the new distribution below it.
    """
    low, high = ndtr([-most, most])
    moved: np.ndarray = ndtri(low + (high - low) * ndtr(noise)).clip(-most, most)
    return moved


def like(codes: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Standard normal noise (samples, latents) with the mean and covariance of codes."""
    covariance = np.atleast_2d(np.cov(codes.astype(np.float64).T, bias=True))
    values, vectors = np.linalg.eigh(covariance)
    # The symmetric root does not depend on the signs of the eigenvectors.
    root = (vectors * np.sqrt(values.clip(min=0.0))) @ vectors.T
    moved: np.ndarray = codes.mean(axis=0) + noise @ root
    return moved
