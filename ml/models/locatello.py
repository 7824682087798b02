"""The convolutional network of Locatello et al. 2019."""

from __future__ import annotations

from typing import Literal

from torch import nn

from ml.components.registry import register
from ml.models.protocol import Architecture, ImageShape


@register
class Locatello(Architecture):
    """Four convolutions (32, 32, 64, 64) and a dense layer of 256: the study's network.

    Convolutions 3 and 4 of the encoder have 2 x 2 kernels, as in the study's code
    (disentanglement_lib), where the paper's table says 4 x 4. All other kernels are 4 x 4, and all
    strides are 2. Images have 64 x 64 pixels and any number of channels. Flattening runs over
    channels first, which only renames the dense layer's inputs.

    References:
        Locatello et al., 2019, https://arxiv.org/abs/1811.12359
    """

    name: Literal["locatello"] = "locatello"

    def check(self, image_shape: ImageShape) -> None:
        self._require_64(image_shape)

    def encoder(self, image_shape: ImageShape, outputs: int) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(image_shape[2], 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 2, stride=2),
            nn.ReLU(),
            nn.Conv2d(64, 64, 2, stride=2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(1024, 256),
            nn.ReLU(),
            nn.Linear(256, outputs),
        )

    def decoder(self, image_shape: ImageShape) -> nn.Module:
        return nn.Sequential(
            nn.Linear(self.latent_dim, 256),
            nn.ReLU(),
            nn.Linear(256, 1024),
            nn.ReLU(),
            nn.Unflatten(1, (64, 4, 4)),
            nn.ConvTranspose2d(64, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, image_shape[2], 4, stride=2, padding=1),
        )
