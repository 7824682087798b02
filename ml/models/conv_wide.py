"""The wide convolutional network of the tutorials."""

from __future__ import annotations

from typing import Literal

from torch import nn

from ml.components.registry import register
from ml.models.protocol import Architecture, ImageShape


@register
class ConvWide(Architecture):
    """Four convolutions (32, 64, 128, 256) and no dense layer but the head: the tutorials' network.

    All kernels are 4 x 4 with stride 2 and padding 1, so that sides go 64, 32, 16, 8, 4 and back.
    ReLU follows each layer but the last of a network. The head follows the flattened 256 x 4 x 4
    directly. Images have 64 x 64 pixels and any number of channels.

    A widely copied version without padding decodes to 62 x 62 instead: its sides go 64, 31, 14, 6,
    2 and, mirrored, 2, 6, 14, 30, 62. World Models, where the channels come from, has no padding
    either, and other kernels in its decoder.

    References:
        Ha and Schmidhuber, 2018, https://arxiv.org/abs/1803.10122, appendix A
    """

    name: Literal["conv_wide"] = "conv_wide"

    def check(self, image_shape: ImageShape) -> None:
        self._require_64(image_shape)

    def encoder(self, image_shape: ImageShape, outputs: int) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(image_shape[2], 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 128, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(128, 256, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(4096, outputs),
        )

    def decoder(self, image_shape: ImageShape) -> nn.Module:
        return nn.Sequential(
            nn.Linear(self.latent_dim, 4096),
            nn.ReLU(),
            nn.Unflatten(1, (256, 4, 4)),
            nn.ConvTranspose2d(256, 128, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(128, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, image_shape[2], 4, stride=2, padding=1),
        )
