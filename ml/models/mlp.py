"""A fully connected network of chosen layers."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field
from torch import nn

from ml.components.registry import register
from ml.models._activations import Activation, activated
from ml.models.protocol import Architecture, ImageShape


@register
class MLP(Architecture):
    """Dense layers of chosen sizes, mirrored in the decoder.

    The decoder has the encoder's layers in reverse order. The activation follows all but the last
    layer of each network. Images may have any size and number of channels. Flattening runs over
    channels first.
    """

    name: Literal["mlp"] = "mlp"
    hidden: Annotated[
        tuple[Annotated[int, Field(ge=1, le=8192)], ...], Field(min_length=1, max_length=8)
    ] = (512, 256)
    """Sizes of the hidden layers, from image to head. The decoder has them in reverse order."""
    activation: Activation = "relu"
    """The activation after each hidden layer. leaky_relu has slope 0.01 below zero."""

    def check(self, image_shape: ImageShape) -> None:
        """Accept images of any shape."""

    def encoder(self, image_shape: ImageShape, outputs: int) -> nn.Module:
        sizes = (math.prod(image_shape), *self.hidden)
        return nn.Sequential(
            nn.Flatten(),
            *activated((nn.Linear(*ends) for ends in pairwise(sizes)), self.activation),
            nn.Linear(sizes[-1], outputs),
        )

    def decoder(self, image_shape: ImageShape) -> nn.Module:
        height, width, channels = image_shape
        sizes = (self.latent_dim, *reversed(self.hidden))
        return nn.Sequential(
            *activated((nn.Linear(*ends) for ends in pairwise(sizes)), self.activation),
            nn.Linear(sizes[-1], math.prod(image_shape)),
            nn.Unflatten(1, (channels, height, width)),
        )
