"""A convolutional network of chosen layers."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator
from torch import nn

from ml.components.registry import register
from ml.models._activations import Activation, activated
from ml.models.protocol import Architecture, ImageShape, UnfitImages

CHANNELS_A_GROUP = 8


@register
class Conv(Architecture):
    """Convolutions and dense layers of chosen sizes, mirrored in the decoder.

    All kernels are 4 x 4 with stride 2 and padding 1. Each convolution halves height and width,
    rounded down. Its mirror restores them exactly, with a row or a column of output padding where
    they were odd (28, 14, 7, 3 and back). Normalisation follows each convolution but the decoder's
    last, and comes before the activation. The activation follows every layer but the last of each
    network. Images have sides of 16 to 128 pixels, not necessarily equal, and 1 or 3 channels. At
    least one pixel must be left on every side, so 16 pixels allow 4 convolutions, 32 allow 5 and 64
    allow 6.

    There is no batch normalisation. A model is a function of its weights alone, so the codes of an
    image must depend neither on the other images of its batch nor on running statistics.
    Normalisation here is over one image, by groups of channels (Wu and He).

    References:
        Wu and He, 2018, https://arxiv.org/abs/1803.08494
    """

    name: Literal["conv"] = "conv"
    # This field comes before `channels`, whose validator reads it.
    normalization: Literal["none", "layer", "group"] = "none"
    """Normalises each image after each convolution, over all channels (layer) or over 8 at a time
    (group). Learned weights for each channel then scale and shift it."""
    channels: Annotated[
        tuple[Annotated[int, Field(ge=1, le=1024)], ...], Field(min_length=1, max_length=6)
    ] = (32, 32, 64, 64)
    """Channels of each convolution, from image to head. They are multiples of 8 if normalization is
    group."""
    hidden: Annotated[tuple[Annotated[int, Field(ge=1, le=8192)], ...], Field(max_length=4)] = (
        256,
    )
    """Sizes of the dense layers between convolutions and head. The list may be empty."""
    activation: Activation = "relu"
    """The activation after each layer but the last of a network. leaky_relu has slope 0.01 below
    zero."""

    @field_validator("channels")
    @classmethod
    def _channels_make_whole_groups(
        cls, channels: tuple[int, ...], info: ValidationInfo
    ) -> tuple[int, ...]:
        grouped = info.data.get("normalization") == "group"
        if grouped and any(number % CHANNELS_A_GROUP for number in channels):
            raise ValueError(
                f"multiples of {CHANNELS_A_GROUP} for normalization 'group', but got {channels}"
            )
        return channels

    def check(self, image_shape: ImageShape) -> None:
        sides, layers = image_shape[:2], len(self.channels)
        if not all(16 <= side <= 128 for side in sides) or image_shape[2] not in (1, 3):
            wanted = "16 to 128 pixels a side with 1 or 3 channels"
            raise UnfitImages(self.name, wanted, image_shape)
        # A side of 2^n pixels to 2^(n+1) - 1 can be halved n times.
        fitting = min(sides).bit_length() - 1
        if layers > fitting:
            wanted = (
                f"at least {2**layers} pixels a side with {layers} convolutions"
                f" ({fitting} fit this data set's)"
            )
            raise UnfitImages(self.name, wanted, image_shape)
        # One channel of one pixel is its own mean, so normalisation would make every image zero.
        if self.normalization == "layer" and self.channels[-1] == 1 and max(sides) >> layers == 1:
            wanted = (
                f"at least {2 ** (layers + 1)} pixels on one side with normalization 'layer' of"
                " 1 channel in the last convolution"
            )
            raise UnfitImages(self.name, wanted, image_shape)

    def encoder(self, image_shape: ImageShape, outputs: int) -> nn.Module:
        convolutions = (
            self._normalized(nn.Conv2d(before, after, 4, stride=2, padding=1), after)
            for before, after in pairwise((image_shape[2], *self.channels))
        )
        sizes = (self._flat(image_shape), *self.hidden)
        dense = (nn.Linear(*ends) for ends in pairwise(sizes))
        return nn.Sequential(
            *activated(convolutions, self.activation),
            nn.Flatten(),
            *activated(dense, self.activation),
            nn.Linear(sizes[-1], outputs),
        )

    def decoder(self, image_shape: ImageShape) -> nn.Module:
        sizes = (self.latent_dim, *reversed(self.hidden), self._flat(image_shape))
        dense = (nn.Linear(*ends) for ends in pairwise(sizes))
        mirrors = [
            self._mirror(image_shape, halvings, *ends)
            for halvings, ends in enumerate(pairwise((image_shape[2], *self.channels)))
        ]
        last, *inner = mirrors
        normalized = (self._normalized(layer, layer.out_channels) for layer in reversed(inner))
        return nn.Sequential(
            *activated(dense, self.activation),
            nn.Unflatten(1, (self.channels[-1], *self._sides(image_shape, len(self.channels)))),
            *activated(normalized, self.activation),
            last,
        )

    def _mirror(
        self, image_shape: ImageShape, halvings: int, read: int, written: int
    ) -> nn.ConvTranspose2d:
        """The layer that undoes the convolution from `read` to `written` channels.

        `halvings` counts the convolutions before that one.
        """
        height, width = self._sides(image_shape, halvings)
        # Doubling gives an even side, and an odd side lost a pixel when it was halved.
        lost = (height % 2, width % 2)
        return nn.ConvTranspose2d(written, read, 4, stride=2, padding=1, output_padding=lost)

    def _normalized(self, convolution: nn.Module, channels: int) -> nn.Module:
        if self.normalization == "none":
            return convolution
        groups = 1 if self.normalization == "layer" else channels // CHANNELS_A_GROUP
        return nn.Sequential(convolution, nn.GroupNorm(groups, channels))

    @staticmethod
    def _sides(image_shape: ImageShape, halvings: int) -> tuple[int, int]:
        """Height and width after this many convolutions."""
        return image_shape[0] >> halvings, image_shape[1] >> halvings

    def _flat(self, image_shape: ImageShape) -> int:
        height, width = self._sides(image_shape, len(self.channels))
        return self.channels[-1] * height * width
