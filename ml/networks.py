"""A run's networks: how they are made, initialised, and called with parameters from outside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from ml.architecture import ImageShape
from ml.draws import generator
from ml.spec import RunSpec

Precision = Literal["float32", "bfloat16"]
Parameters = dict[str, dict[str, Tensor]]
"""Network name to parameter name to tensor."""

MODEL = ("encoder", "decoder")
"""The networks of the group "model"; every other group is one network of the same name."""


def build(spec: RunSpec, image_shape: ImageShape) -> dict[str, nn.Module]:
    """The networks without their weights: modules on torch's `meta` device."""
    # On CUDA, cuDNN would otherwise compute float32 convolutions with the 10-bit mantissas of TF32,
    # and choose kernels that add in any order. Wherever networks are called, they were built.
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    latents = spec.model.latent_dim
    with torch.device("meta"):
        return {
            "encoder": spec.model.encoder(
                image_shape, spec.objective.posterior.numbers_per_latent * latents
            ),
            "decoder": spec.model.decoder(image_shape),
            **spec.objective.extra_networks(latents),
        }


def networks_of(group: str) -> tuple[str, ...]:
    """The networks whose parameters make up a group."""
    return MODEL if group == "model" else (group,)


def initial_parameters(modules: Mapping[str, nn.Module], seed: int) -> Parameters:
    """Weights before the first step: Glorot-uniform kernels and zero biases.

    Limits are sqrt(6 / (fan_in + fan_out)), the default of the TensorFlow layers in which the
    protocol was written. Drawn from (seed, network) alone, in the order of the parameters.
    Parameters with one axis that are no bias (scales of a normalisation) are ones.
    """
    parameters: Parameters = {}
    for network, module in modules.items():
        draws = generator(seed, f"initial weights of {network}")
        parameters[network] = {}
        for name, parameter in module.named_parameters():
            shape = tuple(parameter.shape)
            if len(shape) > 1:
                receptive = int(np.prod(shape[2:]))
                limit = np.sqrt(6 / ((shape[0] + shape[1]) * receptive))
                values = draws.uniform(-limit, limit, size=shape).astype(np.float32)
            else:
                values = np.full(shape, float(not name.endswith("bias")), dtype=np.float32)
            parameters[network][name] = torch.from_numpy(values)
    return parameters


def placed(tensor: Tensor, device: torch.device, precision: Precision) -> Tensor:
    """A copy on the device, in the memory layout that this precision is fast in.

    Layout and alignment decide which kernels run and so which bits come out. Tensors that
    share memory with a numpy array or a file's bytes begin at any address, torch's own at
    multiples of 64, hence always a copy: a matrix product of unaligned weights can differ in the
    last place.
    """
    return tensor.to(device, copy=True, memory_format=_layout(tensor, precision))


def _layout(tensor: Tensor, precision: Precision) -> torch.memory_format:
    four_dimensional = tensor.dim() == 4 and precision == "bfloat16"
    return torch.channels_last if four_dimensional else torch.contiguous_format


class BoundNetworks:
    """Networks with parameters bound: what an objective calls (`ml.objective.Networks`)."""

    def __init__(
        self,
        modules: Mapping[str, nn.Module],
        parameters: Mapping[str, Mapping[str, Tensor]],
        precision: Precision = "float32",
    ) -> None:
        self._modules, self._parameters, self._precision = modules, parameters, precision

    def encode(self, images: Tensor) -> Tensor:
        layout = _layout(images, self._precision)
        return self.call("encoder", images.contiguous(memory_format=layout))

    def decode(self, latents: Tensor) -> Tensor:
        return self.call("decoder", latents)

    def call(self, network: str, inputs: Tensor) -> Tensor:
        with torch.autocast(
            inputs.device.type, torch.bfloat16, enabled=self._precision == "bfloat16"
        ):
            outputs = functional_call(
                self._modules[network], dict(self._parameters[network]), (inputs,)
            )
        assert isinstance(outputs, Tensor)
        return outputs.float()
