"""Layers that are quick on a CPU beside torch's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from ml.components.registry import components
from ml.models.protocol import ImageShape
from ml.networks.networks import build
from ml.networks.quick_layers import overwrites, quickened
from ml.spec.run_spec import RunSpec

EVERY: list[dict[str, Any]] = [
    *({"name": name} for name in components("model")),
    # Odd sides (28, 14, 7, 3) need output padding.
    {"name": "conv", "channels": [8, 16, 8], "hidden": [20]},
    {"name": "conv", "channels": [8, 16], "hidden": [], "normalization": "group"},
    {"name": "conv", "channels": [8, 16], "activation": "elu"},
]
LATENTS = 5


def networks(model: Mapping[str, Any], shape: ImageShape) -> dict[str, nn.Module]:
    spec = {"dataset": "digits", "objective": "vae", "model": {**model, "latent_dim": LATENTS}}
    return build(RunSpec.parse(spec), shape)


def drawn(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3), dtype=dtype) / 4


def both(
    model: Mapping[str, Any], shape: ImageShape, network: str, dtype: torch.dtype = torch.float64
) -> tuple[nn.Module, nn.Module, dict[str, Tensor], Tensor]:
    """A network of torch's layers, the quick one, parameters, and inputs."""
    plain, quick = (networks(model, shape)[network] for _ in range(2))
    quickened({network: quick})
    parameters = {
        name: drawn(*tensor.shape, dtype=dtype) for name, tensor in plain.named_parameters()
    }
    height, width, channels = shape
    inputs = drawn(2, *((channels, height, width) if network == "encoder" else (LATENTS,)))
    return plain, quick, parameters, inputs.to(dtype)


def with_gradients(
    network: nn.Module, parameters: Mapping[str, Tensor], inputs: Tensor
) -> dict[str, Tensor]:
    """The outputs, and the gradient of each parameter and of the inputs."""
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in parameters.items()}
    seen = inputs.clone().requires_grad_()
    # The inputs come from a layer, too, whose output must stay as it is.
    outputs = functional_call(network, leaves, (seen * 1.0,))
    weights = drawn(*outputs.shape, dtype=outputs.dtype)
    found = torch.autograd.grad((outputs * weights).sum(), [*leaves.values(), seen])
    return {"outputs": outputs, **dict(zip([*leaves, "inputs"], found, strict=True))}


@pytest.mark.parametrize("network", ["encoder", "decoder"])
@pytest.mark.parametrize(
    ("model", "channels"), [*((model, 1) for model in EVERY), (EVERY[-3], 3)], ids=str
)
def test_they_compute_what_torchs_own_compute(
    model: dict[str, Any], channels: int, network: str
) -> None:
    side = 28 if "channels" in model else 64
    plain, quick, parameters, inputs = both(model, (side, side, channels), network)
    wanted = with_gradients(plain, parameters, inputs)
    found = with_gradients(quick, parameters, inputs)
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert found[name].shape == tensor.shape
        scale = max(1.0, float(tensor.detach().abs().max()))
        assert float((found[name] - tensor).detach().abs().max()) < 1e-11 * scale, name


def test_layers_are_the_quick_ones_where_that_is_safe() -> None:
    decoder = quickened(networks({"name": "burgess"}, (64, 64, 1)))["decoder"]
    assert isinstance(decoder, nn.Sequential) and type(decoder) is not nn.Sequential
    layers = list(decoder)
    changed = [
        "overwritten" if overwrites(layers, place) else type(layer).__name__
        for place, layer in enumerate(layers)
    ]
    linear = ["Linear", "overwritten"]
    # The gradient that reaches a ReLU through Unflatten may be anybody's.
    assert changed[:7] == [*linear, *linear, "Linear", "ReLU", "Unflatten"]
    assert changed[7:] == ["_TransposedConvolution", "overwritten"] * 3 + ["_TransposedConvolution"]


class Bent(nn.Linear):
    """A layer of somebody's own, whose gradient needs its output."""

    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs).tanh()


def test_what_is_read_again_is_not_overwritten() -> None:
    # The gradient of GroupNorm and of tanh needs what comes in or out of them.
    for before, after in (
        (nn.GroupNorm(2, 4), nn.Conv2d(4, 2, 1)),
        (nn.Conv2d(4, 4, 1), nn.Tanh()),
        (Bent(4, 4), nn.Linear(4, 2)),
        (nn.Linear(4, 4), Bent(4, 2)),
    ):
        assert not overwrites([before, nn.ReLU(), after], 1)


def test_layers_that_are_called_one_by_one_overwrite_nothing() -> None:
    layers = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    quickened({"encoder": layers})
    first, relu, last = layers
    inputs = first(drawn(5, 3, dtype=torch.float32))
    kept = inputs.detach().clone()
    part = layers[:2](drawn(5, 3, dtype=torch.float32))
    assert torch.equal(last(relu(inputs)), last(part)) and torch.equal(inputs, kept)
    # The gradient of a sum is one number for all.
    (gradient,) = torch.autograd.grad(part.sum(), first.bias)
    assert torch.equal(gradient, (kept > 0).sum(0).float())


@pytest.mark.parametrize("network", ["encoder", "decoder"])
def test_gradients_can_be_differentiated_again(network: str) -> None:
    model = {"name": "conv", "channels": [8, 16, 8], "hidden": [20, 20]}
    plain, quick, parameters, inputs = both(model, (28, 28, 1), network)
    found = []
    for one in (plain, quick):
        leaves = {name: tensor.clone().requires_grad_() for name, tensor in parameters.items()}
        seen = inputs.clone().requires_grad_()
        outputs = functional_call(one, leaves, (seen,))
        (slope,) = torch.autograd.grad(outputs.sum(), seen, create_graph=True)
        weights = [tensor for name, tensor in leaves.items() if name.endswith("weight")]
        found.append(torch.autograd.grad((slope.norm(dim=1) - 1).square().sum(), weights))
    for wanted, got in zip(*found, strict=True):
        torch.testing.assert_close(got, wanted)


def test_parameters_keep_their_names_and_shapes() -> None:
    def named(modules: dict[str, nn.Module]) -> list[tuple[str, torch.Size]]:
        return [(n, p.shape) for m in modules.values() for n, p in m.named_parameters()]

    model = {"name": "burgess"}
    assert named(quickened(networks(model, (64, 64, 1)))) == named(networks(model, (64, 64, 1)))


@pytest.mark.parametrize("channels", [1, 3])
def test_several_models_at_once_are_each_of_them(channels: int) -> None:
    model = {"name": "conv", "channels": [8, 16, 8], "hidden": [20]}
    _, quick, parameters, inputs = both(model, (28, 28, channels), "decoder")
    stacks = {name: torch.stack([tensor, tensor * 2]) for name, tensor in parameters.items()}
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in stacks.items()}

    def of_one(own: dict[str, Tensor], seen: Tensor) -> Tensor:
        outputs = functional_call(quick, own, (seen,))
        assert isinstance(outputs, Tensor)
        return outputs

    outputs = torch.vmap(of_one)(leaves, torch.stack([inputs, inputs]))
    found = torch.autograd.grad((outputs * drawn(*outputs.shape[1:])).sum(), list(leaves.values()))
    for place in range(2):
        own = {name: tensor[place] for name, tensor in stacks.items()}
        alone = with_gradients(quick, own, inputs)
        torch.testing.assert_close(outputs[place], alone["outputs"], rtol=1e-11, atol=1e-11)
        for name, gradient in zip(leaves, found, strict=True):
            torch.testing.assert_close(gradient[place], alone[name], rtol=1e-11, atol=1e-11)


def test_in_bfloat16_they_are_no_less_exact_than_torchs_own() -> None:
    plain, quick, parameters, inputs = both({"name": "burgess"}, (64, 64, 1), "decoder")
    exact = with_gradients(plain, parameters, inputs)
    short = {name: tensor.float() for name, tensor in parameters.items()}

    def errors(network: nn.Module) -> dict[str, float]:
        with torch.autocast("cpu", torch.bfloat16):
            found = with_gradients(network, short, inputs.float())
        assert found["outputs"].dtype is torch.bfloat16
        return {
            name: float(((found[name] - tensor).norm() / tensor.norm()).detach())
            for name, tensor in exact.items()
        }

    theirs, ours = errors(plain), errors(quick)
    assert all(ours[name] < 1.1 * theirs[name] + 1e-3 for name in exact)
