"""Activations that a client may choose by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from torch import nn

Activation = Literal["relu", "leaky_relu", "tanh", "elu", "silu"]

_ACTIVATIONS: Mapping[Activation, type[nn.Module]] = {
    "relu": nn.ReLU,
    # Slope 0.01 below zero; TensorFlow's default is 0.2.
    "leaky_relu": nn.LeakyReLU,
    "tanh": nn.Tanh,
    "elu": nn.ELU,
    "silu": nn.SiLU,
}


def activated(layers: Iterable[nn.Module], activation: Activation) -> list[nn.Module]:
    """The layers, each followed by the activation."""
    return [module for layer in layers for module in (layer, _ACTIVATIONS[activation]())]
