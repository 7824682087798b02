"""The convolutional network of Burgess et al. 2018."""

from __future__ import annotations

from typing import Literal

from torch import nn

from ml.components.registry import register
from ml.models.protocol import Architecture, ImageShape


@register
class Burgess(Architecture):
    """Four convolutions of 32 channels and two dense layers of 256, mirrored in the decoder.

    All kernels are 4 x 4 with stride 2 and padding 1. Images have 64 x 64 pixels and any number of
    channels.

    References:
        Burgess et al., 2018, https://arxiv.org/abs/1804.03599, appendix A
    """

    name: Literal["burgess"] = "burgess"

    def check(self, image_shape: ImageShape) -> None:
        self._require_64(image_shape)

    def encoder(self, image_shape: ImageShape, outputs: int) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(image_shape[2], 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(512, 256),
            nn.ReLU(),
            nn.Linear(256, 256),
            nn.ReLU(),
            nn.Linear(256, outputs),
        )

    def decoder(self, image_shape: ImageShape) -> nn.Module:
        return nn.Sequential(
            nn.Linear(self.latent_dim, 256),
            nn.ReLU(),
            nn.Linear(256, 256),
            nn.ReLU(),
            nn.Linear(256, 512),
            nn.ReLU(),
            nn.Unflatten(1, (32, 4, 4)),
            nn.ConvTranspose2d(32, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, image_shape[2], 4, stride=2, padding=1),
        )
