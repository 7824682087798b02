"""The protocol of architectures: an encoder from image to head, a decoder from latents to image."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, ClassVar

from pydantic import Field
from torch import nn

from ml.components.component import Component

ImageShape = tuple[int, int, int]
"""Height, width, channels."""


class UnfitImages(ValueError):
    """An architecture cannot take the images of a dataset."""

    def __init__(self, name: str, wanted: str, image_shape: ImageShape) -> None:
        height, width, channels = image_shape
        self.wanted, self.got = wanted, f"{height} x {width} with {channels} channel(s)"
        super().__init__(f"model {name!r} takes images of {wanted}, the data set's are {self.got}")


class Architecture(Component):
    """An encoder (samples, channels, height, width) -> head, and a decoder latents -> logits."""

    kind: ClassVar[str] = "model"

    latent_dim: Annotated[int, Field(ge=1, le=512)] = 10
    """Number of latents."""

    @abstractmethod
    def check(self, image_shape: ImageShape) -> None:
        """Raise `UnfitImages` unless the networks take images of this shape."""

    @abstractmethod
    def encoder(self, image_shape: ImageShape, outputs: int) -> nn.Module:
        """The network from images to `outputs` numbers a sample."""

    @abstractmethod
    def decoder(self, image_shape: ImageShape) -> nn.Module:
        """The network from latents to logits (samples, channels, height, width)."""

    def _require_64(self, image_shape: ImageShape) -> None:
        if image_shape[:2] != (64, 64):
            raise UnfitImages(self.name, "64 x 64 pixels", image_shape)
