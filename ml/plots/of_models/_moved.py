"""The base of all pictures of moved latents: where latents start, and how far they go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from ml.components.spec_errors import Fault, InvalidSpec
from ml.objectives.posteriors.traversals import Span, most_typical
from ml.plots.protocol import Material, RunPlot
from ml.reproducibility.draws import MAX_SEED, generator

FARTHEST = 1e6
PlainNumber = Annotated[float, Field(ge=-FARTHEST, le=FARTHEST)]


@dataclass(frozen=True)
class Start:
    """The code at which all latents stay that are not moved."""

    code: np.ndarray
    """The code, (latents,)."""
    name: str
    image: np.ndarray | None
    """The image of this code, (height, width, channels); None if it is no image's code."""


class Moved(RunPlot):
    """A picture in which latents move and the others stay."""

    base: Literal["typical", "mean", "prior", "image"] = "typical"
    """Where the other latents stay: at the code of the most typical image (nearest to the mean
    code, in units of each latent's deviation), the mean code, the prior's mean, or the code of
    `image`."""
    image: Annotated[int, Field(ge=0)] | None = None
    """Index of an image of the data set. It implies the base `image`."""
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] | None = None
    """Seed of a draw from the prior, in place of its mean. It is for the base `prior`."""
    span: Span | None = None
    """How far a latent goes: quantiles of its own codes, deviations of its codes around their mean,
    the range of its codes, or units, which are plain numbers. Null means the span of the spec."""
    extent: Annotated[float, Field(gt=0, le=1000)] | None = None
    """For quantiles, the share cut off at either end (0.01 by default). For deviations and units,
    how many to either side (2 and 3 by default)."""
    low: PlainNumber | None = None
    """The smallest value. It goes with `high`, and both replace a span."""
    high: PlainNumber | None = None
    """The largest value. It goes with `low`."""
    frames: Annotated[int, Field(ge=2, le=51)] | None = None
    """Number of values that a latent goes through. Null means that of the spec."""

    @model_validator(mode="after")
    def _no_param_is_ignored(self) -> Self:
        given = self.model_fields_set
        if self.image is not None and "base" in given and self.base != "image":
            raise ValueError("image is for base image")
        if self.base == "image" and self.image is None:
            raise ValueError("base image needs image, an index in the data set")
        if self.seed is not None and self.base != "prior":
            raise ValueError("seed is for base prior")
        if (self.low is None) != (self.high is None):
            raise ValueError("low and high are given together")
        if self.low is not None and self.high is not None:
            if self.low >= self.high:
                raise ValueError("low is less than high")
            if self.span is not None or self.extent is not None:
                raise ValueError("low and high are in place of span and extent")
        if self.extent is not None and self.span == "range":
            raise ValueError("extent is for quantiles, deviations and units")
        if self.extent is not None and self.span == "quantiles" and self.extent >= 0.5:
            raise ValueError("extent of quantiles is a share below 0.5")
        return self

    def values(self, material: Material, frames: int | None = None) -> np.ndarray:
        """Values of each latent, (latents, frames).

        Raises:
            InvalidSpec: the extent does not fit the span that the spec has.
        """
        span = self.span or material.span
        between = None
        if self.low is not None and self.high is not None:
            between = (self.low, self.high)
        elif self.extent is not None and span == "range":
            raise InvalidSpec([Fault("extent", self.extent, "null, as the spec's span is range")])
        elif self.extent is not None and span == "quantiles" and self.extent >= 0.5:
            expected = "a share below 0.5, as the spec's span is quantiles"
            raise InvalidSpec([Fault("extent", self.extent, expected)])
        return material.posterior.traverse(
            material.encoded.mean,
            frames or self.frames or material.frames,
            span=span,
            extent=self.extent,
            between=between,
        )

    def start(self, material: Material) -> Start:
        """Where the latents that do not move stay.

        Raises:
            InvalidSpec: there is no such image, or the model has no prior.
        """
        codes = material.encoded.mean
        if self.image is not None:
            return self._at_image(material, self.image)
        if self.base == "mean":
            return Start(codes.mean(axis=0), "mean code", None)
        if self.base == "prior":
            latents = codes.shape[1]
            noise: np.ndarray | None = None
            if self.seed is not None:
                draws = generator(self.seed, "base of a traversal")
                noise = np.asarray(draws.standard_normal(latents))
            code = material.posterior.prior(latents, noise)
            if code is None:
                expected = "typical, mean or image, as this model has no prior"
                raise InvalidSpec([Fault("base", "prior", expected)])
            name = "prior's mean" if self.seed is None else f"prior, seed {self.seed}"
            return Start(code, name, None)
        row = most_typical(codes)
        image = material.images(material.encoded.index[row : row + 1])[0]
        return Start(codes[row], "typical image", image)

    def _at_image(self, material: Material, index: int) -> Start:
        try:
            images = material.images(np.array([index]))
        except IndexError as error:
            expected = f"an image of the data set, but {error}"
            raise InvalidSpec([Fault("image", index, expected)]) from None
        rows = np.flatnonzero(material.encoded.index == index)
        if len(rows):
            code = material.encoded.mean[rows[0]]
        elif material.encode is not None:
            code = material.encode(images)[0]
        else:
            raise InvalidSpec([Fault("image", index, "an image that was evaluated")])
        return Start(code, f"image {index}", images[0])


def check_latent(material: Material, path: str, latent: int) -> None:
    """Refuse a latent that the model does not have.

    Raises:
        InvalidSpec: there is no such latent. The message names those that exist.
    """
    count = material.encoded.mean.shape[1]
    if latent >= count:
        named = ", ".join(material.label(one) for one in sorted(material.latent_names))
        known = f"a latent, 0 to {count - 1}" + (f" (named are {named})" if named else "")
        raise InvalidSpec([Fault(path, latent, known)])
