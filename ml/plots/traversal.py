"""The latent traversal."""

from __future__ import annotations

from typing import Literal

import numpy as np
from matplotlib.figure import Figure

from ml.metrics._mutual_information import equal_width_bins, information
from ml.plot import Material, Plot, show_image
from ml.registry import register

MOST_LATENTS = 20
BINS = 20


@register
class Traversal(Plot):
    """Images decoded while one latent moves and the others stay.

    One row a latent, those with the largest KL first (at most 20), labelled with its mean KL in
    nats (of an encoder without noise, which has none: with the deviation of its codes) and the
    factor it tells most about, by mutual information over that factor's entropy (20 bins). Columns
    go through the quantiles 1 % to 99 % of the latent's own codes; the other latents stay at the
    code of the most typical image, the one nearest to the mean code in units of each code's
    deviation, which stands on the left.
    """

    name: Literal["traversal"] = "traversal"

    def draw(self, material: Material) -> Figure:
        codes = material.encoded.mean
        weight, label = _weights(material)
        order = np.argsort(-weight)[:MOST_LATENTS]
        base = most_typical(codes)
        values = material.posterior.traverse(codes, material.frames)
        told = _most_told(material)

        figure = Figure(
            figsize=(1.7 + 0.75 * (material.frames + 1), 0.55 + 0.8 * len(order)),
            layout="constrained",
        )
        figure.suptitle(material.title, fontsize=9)
        axes = figure.subplots(len(order), material.frames + 1, squeeze=False)
        original = material.images(material.encoded.index[base : base + 1])[0]
        for row, latent in enumerate(order):
            latents = np.repeat(codes[base : base + 1], material.frames, axis=0)
            latents[:, latent] = values[latent]
            show_image(axes[row, 0], original)
            for column, image in enumerate(material.decode(latents), start=1):
                show_image(axes[row, column], image)
                axes[row, column].set_xlabel(
                    f"{values[latent, column - 1]:.2g}", fontsize=6, labelpad=1
                )
            axes[row, 0].set_ylabel(
                f"z{latent}  {label} {weight[latent]:.2f}\n{told[latent]}",
                fontsize=7,
                rotation=0,
                ha="right",
                va="center",
            )
        axes[0, 0].set_title("image", fontsize=7)
        return figure


def _weights(material: Material) -> tuple[np.ndarray, str]:
    """How much each latent is used, and what that is called."""
    kl = material.encoded.kl.mean(axis=0)
    if np.isnan(kl).any():
        return material.encoded.mean.std(axis=0), "sd"
    return kl, "KL"


def most_typical(codes: np.ndarray) -> int:
    """The row whose code is nearest to the mean, each latent in units of its deviation."""
    deviation = codes.std(axis=0)
    scaled = (codes - codes.mean(axis=0)) / np.where(deviation > 0, deviation, 1)
    return int(np.argmin((scaled**2).sum(axis=1)))


def _most_told(material: Material) -> list[str]:
    """For each latent the factor it tells most about, with the share of its entropy told."""
    latents = material.encoded.mean.shape[1]
    varying = [
        column
        for column in range(len(material.factor_names))
        if np.ptp(material.encoded.factors[:, column]) > 0
    ]
    if not varying:
        return [""] * latents
    classes = np.stack(
        [np.unique(material.encoded.factors[:, k], return_inverse=True)[1] for k in varying], 1
    )
    known = information(equal_width_bins(material.encoded.mean, BINS), classes)
    share = known.mutual / known.factors
    return [f"{material.factor_names[varying[int(row.argmax())]]} {row.max():.0%}" for row in share]
