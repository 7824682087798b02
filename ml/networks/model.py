"""A trained model: weights that encode images and decode latents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ml.models.protocol import ImageShape
from ml.networks import tensor_file
from ml.networks.memory_layout import channels_last, with_channels_last
from ml.networks.networks import BoundNetworks, LoadedNetworks, Parameters, build
from ml.networks.quick_layers import quickened
from ml.spec.identity import train_id
from ml.spec.run_spec import RunSpec

CHUNK = 128
"""Samples that a network computes at once. On a CPU, the activations of more leave its caches."""


@dataclass(frozen=True)
class Encoding:
    """The posteriors of images; all numbers are float32."""

    mean: Float[np.ndarray, "samples latents"]
    """Posterior means, the codes."""
    log_variance: Float[np.ndarray, "samples latents"]
    kl: Float[np.ndarray, "samples latents"]
    """KL to the prior in nats; NaN for a posterior that has none."""
    head: Float[Tensor, "samples numbers"]
    """The encoder's own output."""


@dataclass(frozen=True)
class Model:
    """Trained weights with their spec."""

    spec: RunSpec
    image_shape: ImageShape
    parameters: Parameters
    steps: int
    """Steps that the weights were trained for."""
    record: Mapping[str, Any] = field(default_factory=dict)
    """How the weights were trained, such as the environment of each stretch."""

    def encode(self, images: Float[Tensor, "samples channels height width"]) -> Encoding:
        """Posterior of images in [0, 1], in float32."""
        posterior = self.spec.objective.posterior
        with torch.no_grad():
            head = self._networks.encode(images.to(self._device()))
            mean, kl = posterior.mean(head), posterior.kl(head)
            return Encoding(
                _array(mean),
                _array(posterior.log_variance(head)),
                _array(torch.full_like(mean, torch.nan) if kl is None else kl),
                head,
            )

    def decode(
        self, latents: Float[np.ndarray, "samples latents"]
    ) -> Float[np.ndarray, "samples height width channels"]:
        """The images of latents: pixel means in [0, 1].

        Raises:
            ValueError: the latents do not have the shape (samples, latents) of this model.
        """
        wanted = self.spec.model.latent_dim
        if latents.ndim != 2 or latents.shape[1] != wanted:
            raise ValueError(f"expected latents of shape (samples, {wanted}), got {latents.shape}")
        chunks = [
            _array(self.logits(torch.from_numpy(chunk)).sigmoid().permute(0, 2, 3, 1))
            for chunk in _chunks(np.asarray(latents, dtype=np.float32))
        ]
        return np.concatenate(chunks) if chunks else np.empty((0, *self.image_shape), np.float32)

    def logits(
        self, latents: Float[Tensor, "samples latents"]
    ) -> Float[Tensor, "samples channels height width"]:
        """The decoder's output. Pixel means are its sigmoid."""
        with torch.no_grad():
            return self._networks.decode(latents.to(self._device()))

    def reconstruction(
        self,
        latents: Float[Tensor, "samples latents"],
        images: Float[Tensor, "samples channels height width"],
    ) -> Float[np.ndarray, "samples"]:
        """-log p(x|z) in nats of each sample, under the likelihood of the spec."""
        with torch.no_grad():
            return _array(self._networks.reconstruction(latents, images))

    def to_bytes(self) -> bytes:
        """The weights as a safetensors file, which `from_bytes` reads."""
        tensors = {
            f"{network}/{name}": tensor
            for network, named in self.parameters.items()
            for name, tensor in named.items()
        }
        document = {
            "spec": self.spec.document(),
            "train_id": train_id(self.spec),
            "image_shape": list(self.image_shape),
            "steps": self.steps,
            "record": dict(self.record),
        }
        return tensor_file.to_bytes(tensors, document)

    @classmethod
    def from_bytes(cls, data: bytes, device: torch.device | None = None) -> Model:
        """The model of a weights file."""
        tensors, document = tensor_file.from_bytes(data)
        parameters: Parameters = {}
        for path, tensor in tensors.items():
            network, _, name = path.partition("/")
            # Copy, to align what a file need not align (`ml.networks.memory_layout.ALIGNMENT`).
            parameters.setdefault(network, {})[name] = tensor.to(
                device or torch.device("cpu"), copy=True
            )
        height, width, channels = document["image_shape"]
        spec = RunSpec.parse(document["spec"])
        return cls(
            spec, (height, width, channels), parameters, document["steps"], document["record"]
        )

    @cached_property
    def _networks(self) -> BoundNetworks:
        """The networks as they are called. To make them costs as much as to encode 50 images."""
        parameters: Mapping[str, Mapping[str, Tensor]] = self.parameters
        if channels_last(self._device(), "float32"):
            parameters = {
                network: {name: with_channels_last(tensor) for name, tensor in named.items()}
                for network, named in parameters.items()
            }
        modules = quickened(build(self.spec, self.image_shape))
        return LoadedNetworks(self.spec, modules, parameters)

    def _device(self) -> torch.device:
        return next(iter(self.parameters["decoder"].values())).device


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.cpu().numpy()


def _chunks(values: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(values), CHUNK):
        yield values[start : start + CHUNK]
