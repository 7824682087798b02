"""A run's networks: how they are made, initialised, and called with given parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, vmap

from ml.models.protocol import ImageShape
from ml.objectives.likelihood import negative_log_likelihood
from ml.reproducibility.draws import generator
from ml.spec.choices import Precision
from ml.spec.run_spec import RunSpec

Parameters = dict[str, dict[str, Tensor]]
"""Tensors by the names of their network and of the parameter."""

MODEL = ("encoder", "decoder")
"""The networks of the group "model". Every other group is one network of the same name."""


def build(spec: RunSpec, image_shape: ImageShape) -> dict[str, nn.Module]:
    """The networks without their weights: modules on torch's `meta` device."""
    # On CUDA, cuDNN would otherwise compute float32 convolutions with the 10-bit mantissas of TF32,
    # and choose kernels that add in any order. Networks are built before they are called, so that
    # this applies to every call.
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    latents = spec.model.latent_dim
    with torch.device("meta"):
        return {
            "encoder": spec.model.encoder(
                image_shape, spec.objective.posterior.numbers_per_latent * latents
            ),
            "decoder": spec.model.decoder(image_shape),
            # The runs of a cohort share their networks, so no run's own numbers may shape them.
            **spec.objective.without_numbers().extra_networks(latents),
        }


def parameter_counts(spec: RunSpec) -> dict[str, int]:
    """Number of weights of each network of a run, by its name. No data set is opened."""
    modules = build(spec, spec.dataset.image_shape())
    return {
        name: sum(parameter.numel() for parameter in module.parameters())
        for name, module in modules.items()
    }


def groups_of(modules: Mapping[str, nn.Module]) -> dict[str, tuple[str, ...]]:
    """The groups of parameters that are updated together, each with its networks."""
    return {"model": MODEL, **{name: (name,) for name in modules if name not in MODEL}}


def initial_parameters(modules: Mapping[str, nn.Module], seed: int) -> Parameters:
    """Weights before the first step: Glorot-uniform kernels and zero biases.

    The limits are sqrt(6 / (fan_in + fan_out)), the default of the TensorFlow layers that the
    protocol was written with. Draws depend only on seed and network, and follow the order of the
    parameters. Parameters with one axis that are not a bias (scales of a normalisation) are ones.
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


class BoundNetworks:
    """Networks of one model with their parameters (see `ml.objectives.protocol.Networks`)."""

    def __init__(
        self,
        spec: RunSpec,
        modules: Mapping[str, nn.Module],
        parameters: Mapping[str, Mapping[str, Tensor]],
        precision: Precision = "float32",
    ) -> None:
        self._modules, self._parameters, self._precision = modules, parameters, precision
        self._likelihood = spec.training.likelihood
        self._deviation = spec.training.pixel_deviation or 1.0

    def encode(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch numbers"]:
        return self.call("encoder", images)

    def decode(
        self, latents: Float[Tensor, "batch latents"]
    ) -> Float[Tensor, "batch channels height width"]:
        return self.call("decoder", latents)

    def reconstruction(
        self,
        latents: Float[Tensor, "batch latents"],
        images: Float[Tensor, "batch channels height width"],
    ) -> Float[Tensor, "batch"]:
        return self._cost(self.decode(latents), images)

    def call(
        self, network: str, inputs: Float[Tensor, "batch *inputs"]
    ) -> Float[Tensor, "batch *outputs"]:
        return self._called(network, self._parameters[network], inputs)

    def _cost(self, logits: Tensor, images: Tensor) -> Tensor:
        return negative_log_likelihood(logits, images, self._likelihood, self._deviation)

    def _called(self, network: str, parameters: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        with torch.autocast(
            inputs.device.type, torch.bfloat16, enabled=self._precision == "bfloat16"
        ):
            outputs = functional_call(self._modules[network], dict(parameters), (inputs,))
        assert isinstance(outputs, Tensor)
        return outputs.float()


class LoadedNetworks(BoundNetworks):
    """Networks of one model that hold their parameters, to be called again and again.

    `functional_call` would change the modules for the time of a call. These stay as they are, so
    that several threads may call them at once.
    """

    def __init__(
        self,
        spec: RunSpec,
        modules: Mapping[str, nn.Module],
        parameters: Mapping[str, Mapping[str, Tensor]],
    ) -> None:
        super().__init__(spec, modules, parameters)
        for network, named in parameters.items():
            modules[network].load_state_dict(dict(named), assign=True)
            modules[network].requires_grad_(False)

    def _called(self, network: str, _parameters: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        outputs = self._modules[network](inputs)
        assert isinstance(outputs, Tensor)
        return outputs


class StackedNetworks(BoundNetworks):
    """Networks of several models at once, for a loss that `vmap` runs over the models.

    Parameters are (places, *shape). The loss is vmapped, but the networks are not: a call leaves
    the vmap with the inputs of all models, (places, samples, ...), and returns to it with their
    outputs. Memory layouts and fused kernels, which cannot be chosen under vmap, are chosen here.
    A stack of one model costs no more than the model alone.
    """

    def call(
        self, network: str, inputs: Float[Tensor, "batch *inputs"]
    ) -> Float[Tensor, "batch *outputs"]:
        return _on_the_stack(partial(self._of_all, network), inputs)

    def reconstruction(
        self,
        latents: Float[Tensor, "batch latents"],
        images: Float[Tensor, "batch channels height width"],
    ) -> Float[Tensor, "batch"]:
        return _on_the_stack(self._reconstruction_of_all, latents, images)

    def _of_all(self, network: str, inputs: Tensor) -> Tensor:
        parameters = self._parameters[network]
        if len(inputs) == 1:
            alone = {name: tensor.squeeze(0) for name, tensor in parameters.items()}
            return self._called(network, alone, inputs.squeeze(0)).unsqueeze(0)
        return vmap(partial(self._called, network))(dict(parameters), inputs)

    def _reconstruction_of_all(self, latents: Tensor, images: Tensor) -> Tensor:
        logits = self._of_all("decoder", latents)
        costs = self._cost(logits.flatten(0, 1), images.flatten(0, 1))
        return costs.view(latents.shape[:2])


def _on_the_stack(of_all: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    outputs = _OnTheStack.apply(of_all, *inputs)  # type: ignore[no-untyped-call]
    assert isinstance(outputs, Tensor)
    return outputs


class _OnTheStack(torch.autograd.Function):
    """Calls a function of all models from a loss that is vmapped over them.

    The loss sees the tensors of one model. `vmap` gives the rule below those of all models. The
    rule computes with ordinary differentiable torch operations, so it needs no backward.
    """

    @staticmethod
    def forward(_of_all: Callable[..., Tensor], *_inputs: Tensor) -> Tensor:
        raise TypeError(NOT_ITS_OWN)

    @staticmethod
    def setup_context(_ctx: Any, _inputs: Any, _output: Any) -> None:
        pass

    @staticmethod
    def vmap(
        _info: Any, in_dims: tuple[int | None, ...], of_all: Callable[..., Tensor], *inputs: Tensor
    ) -> tuple[Tensor, int]:
        stacked = []
        for dimension, tensor in zip(in_dims[1:], inputs, strict=True):
            if dimension is None:
                raise TypeError(NOT_ITS_OWN)
            stacked.append(tensor.movedim(dimension, 0))
        return of_all(*stacked), 0


NOT_ITS_OWN = (
    "a loss called a network on a tensor that is the same for all runs; networks are called on"
    " what is made of images, draws or coefficients"
)
