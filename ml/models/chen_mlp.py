"""The fully connected network of Chen et al. 2018."""

from __future__ import annotations

import math
from typing import Literal

from torch import nn

from ml.components.registry import register
from ml.models.protocol import Architecture, ImageShape


@register
class ChenMLP(Architecture):
    """Dense layers of 1200: two with ReLU in the encoder, three with tanh in the decoder.

    Images may have any size and number of channels. The paper and its code have the 64 x 64 pixels
    and one channel of dSprites. The fully connected network of Locatello et al. has the same shape
    (fc_encoder and fc_decoder of disentanglement_lib); they take it from Higgins et al. Flattening
    runs over channels first, which only renames the inputs and outputs.

    References:
        Chen et al., 2018, https://arxiv.org/abs/1802.04942
        Higgins et al., 2017, https://openreview.net/forum?id=Sy2fzU9gl, table 1
    """

    name: Literal["chen_mlp"] = "chen_mlp"

    def check(self, image_shape: ImageShape) -> None:
        """Accept images of any shape."""

    def encoder(self, image_shape: ImageShape, outputs: int) -> nn.Module:
        return nn.Sequential(
            nn.Flatten(),
            nn.Linear(math.prod(image_shape), 1200),
            nn.ReLU(),
            nn.Linear(1200, 1200),
            nn.ReLU(),
            nn.Linear(1200, outputs),
        )

    def decoder(self, image_shape: ImageShape) -> nn.Module:
        height, width, channels = image_shape
        return nn.Sequential(
            nn.Linear(self.latent_dim, 1200),
            nn.Tanh(),
            nn.Linear(1200, 1200),
            nn.Tanh(),
            nn.Linear(1200, 1200),
            nn.Tanh(),
            nn.Linear(1200, math.prod(image_shape)),
            nn.Unflatten(1, (channels, height, width)),
        )
