from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import Tensor, nn

from ml.components.registry import components, find
from ml.components.spec_errors import InvalidSpec
from ml.models.protocol import Architecture, ImageShape, UnfitImages
from ml.networks.networks import build, initial_parameters
from ml.spec.run_spec import RunSpec

EVERY: list[dict[str, Any]] = [
    *({"name": name} for name in components("model")),
    {"name": "conv", "normalization": "layer"},
    {"name": "conv", "normalization": "group"},
]
"""Every registered model, and the variants that could mix the images of a batch."""


def spec(name: str, latents: int = 7, seed: int = 0, **params: Any) -> RunSpec:
    return RunSpec.parse(
        {
            "dataset": "digits",
            "objective": "vae",
            "model": {"name": name, "latent_dim": latents, **params},
            "seed": seed,
        }
    )


def model(name: str, **params: Any) -> Architecture:
    made = find("model", name).model_validate({"name": name, **params})
    assert isinstance(made, Architecture)
    return made


def images_of(shape: ImageShape, samples: int = 3) -> Tensor:
    height, width, channels = shape
    drawn = np.random.default_rng(5).random((samples, channels, height, width), dtype=np.float32)
    return torch.from_numpy(drawn)


def called(module: nn.Module, parameters: dict[str, Tensor], inputs: Tensor) -> Tensor:
    outputs = torch.func.functional_call(module, parameters, (inputs,))
    assert isinstance(outputs, Tensor)
    return outputs


def assert_decodes_to(shape: ImageShape, **params: Any) -> None:
    """The head has two numbers for each of 7 latents, the logits the shape of the images."""
    modules = build(spec(**params), shape)
    parameters = initial_parameters(modules, seed=0)
    images = images_of(shape)
    head = called(modules["encoder"], parameters["encoder"], images)
    assert head.shape == (3, 14)
    logits = called(modules["decoder"], parameters["decoder"], head[:, :7])
    assert logits.shape == images.shape


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", components("model"))
def test_networks_lead_from_images_to_head_and_from_latents_to_logits(
    name: str, channels: int
) -> None:
    assert_decodes_to((64, 64, channels), name=name)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [28, 31, 32, 45, 64, 96, 128])
def test_conv_decodes_to_the_very_size_of_the_images(size: int, channels: int) -> None:
    assert_decodes_to((size, size, channels), name="conv")


@pytest.mark.parametrize(
    ("shape", "layers"),
    [
        ((16, 31, 3), 4),
        ((28, 64, 1), 4),
        ((64, 28, 3), 4),
        ((127, 33, 1), 5),
        ((127, 95, 3), 6),
        ((45, 31, 1), 1),
    ],
)
def test_conv_decodes_images_that_are_not_square(shape: ImageShape, layers: int) -> None:
    assert_decodes_to(shape, name="conv", channels=[8] * layers, normalization="group")


@pytest.mark.parametrize("name", ["chen_mlp", "mlp"])
def test_fully_connected_networks_take_any_images(name: str) -> None:
    model(name).check((5, 9, 2))
    assert_decodes_to((5, 9, 2), name=name)


@pytest.mark.parametrize("params", EVERY, ids=str)
def test_the_codes_of_an_image_do_not_depend_on_the_rest_of_its_batch(
    params: dict[str, Any],
) -> None:
    encoder = build(spec(**params), (64, 64, 1))["encoder"]
    parameters = initial_parameters({"encoder": encoder}, seed=0)["encoder"]
    images = images_of((64, 64, 1), samples=5)
    together = called(encoder, parameters, images)
    alone = torch.cat([called(encoder, parameters, image[None]) for image in images])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-6)
    # Else the images themselves would be of no effect.
    assert not torch.allclose(together[0], together[1], rtol=1e-3)


@pytest.mark.parametrize("params", EVERY, ids=str)
def test_two_models_computed_at_once_are_as_each_alone(params: dict[str, Any]) -> None:
    shape = (64, 64, 1)
    modules = build(spec(**params), shape)
    inputs = {"encoder": images_of(shape), "decoder": torch.linspace(-2, 2, 21).reshape(3, 7)}
    models = [initial_parameters(modules, seed) for seed in (0, 1)]
    for network, given in inputs.items():
        stacked = {
            name: torch.stack([parameters[network][name] for parameters in models])
            for name in models[0][network]
        }
        at_once = torch.func.vmap(called, in_dims=(None, 0, None))(modules[network], stacked, given)
        for together, parameters in zip(at_once, models, strict=True):
            alone = called(modules[network], parameters[network], given)
            torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
        assert not torch.allclose(at_once[0], at_once[1], rtol=1e-2)


def weights(name: str, **params: Any) -> int:
    modules = build(spec(name, latents=10, **params), (64, 64, 1))
    return sum(p.numel() for module in modules.values() for p in module.parameters())


def test_locatello_has_the_weights_of_the_study() -> None:
    # By hand, kernel x in x out + out, encoder then decoder.
    encoder = (16 * 1 * 32 + 32) + (16 * 32 * 32 + 32) + (4 * 32 * 64 + 64) + (4 * 64 * 64 + 64)
    encoder += (1024 * 256 + 256) + 2 * (256 * 10 + 10)
    decoder = (10 * 256 + 256) + (256 * 1024 + 1024)
    decoder += (16 * 64 * 64 + 64) + (16 * 64 * 32 + 32) + (16 * 32 * 32 + 32) + (16 * 32 + 1)
    assert weights("locatello") == encoder + decoder


def test_burgess_has_the_weights_of_the_paper() -> None:
    convolutions = (16 * 1 * 32 + 32) + 3 * (16 * 32 * 32 + 32)
    encoder = convolutions + (512 * 256 + 256) + (256 * 256 + 256) + (256 * 20 + 20)
    decoder = (10 * 256 + 256) + (256 * 256 + 256) + (256 * 512 + 512)
    decoder += 3 * (16 * 32 * 32 + 32) + (16 * 32 * 1 + 1)
    assert weights("burgess") == encoder + decoder


def test_chen_mlp_has_the_weights_of_the_paper() -> None:
    encoder = (4096 * 1200 + 1200) + (1200 * 1200 + 1200) + (1200 * 20 + 20)
    decoder = (10 * 1200 + 1200) + 2 * (1200 * 1200 + 1200) + (1200 * 4096 + 4096)
    assert weights("chen_mlp") == encoder + decoder


def test_conv_wide_has_the_weights_of_the_tutorials() -> None:
    encoder = (16 * 1 * 32 + 32) + (16 * 32 * 64 + 64) + (16 * 64 * 128 + 128)
    encoder += (16 * 128 * 256 + 256) + (4096 * 20 + 20)
    decoder = (10 * 4096 + 4096) + (16 * 256 * 128 + 128) + (16 * 128 * 64 + 64)
    decoder += (16 * 64 * 32 + 32) + (16 * 32 * 1 + 1)
    assert weights("conv_wide") == encoder + decoder


def test_hidden_layers_of_mlp_are_mirrored() -> None:
    encoder = (4096 * 30 + 30) + (30 * 20 + 20) + (20 * 20 + 20)
    decoder = (10 * 20 + 20) + (20 * 30 + 30) + (30 * 4096 + 4096)
    assert weights("mlp", hidden=[30, 20]) == encoder + decoder


def test_layers_of_conv_are_mirrored() -> None:
    # 64 pixels a side are 16 after two convolutions.
    flat = 24 * 16 * 16
    encoder = (16 * 1 * 8 + 8) + (16 * 8 * 24 + 24)
    encoder += (flat * 30 + 30) + (30 * 20 + 20) + (20 * 20 + 20)
    decoder = (10 * 20 + 20) + (20 * 30 + 30) + (30 * flat + flat)
    decoder += (16 * 24 * 8 + 8) + (16 * 8 * 1 + 1)
    layers = {"channels": [8, 24], "hidden": [30, 20]}
    assert weights("conv", **layers) == encoder + decoder
    # Scale and shift of each channel after each convolution but the decoder's last.
    for kind in ("layer", "group"):
        normalized = weights("conv", normalization=kind, **layers)
        assert normalized == encoder + decoder + 2 * (8 + 24) + 2 * 8


def test_conv_without_dense_layers_goes_straight_to_the_head() -> None:
    flat = 8 * 32 * 32
    encoder = (16 * 1 * 8 + 8) + (flat * 20 + 20)
    decoder = (10 * flat + flat) + (16 * 8 * 1 + 1)
    assert weights("conv", channels=[8], hidden=[]) == encoder + decoder


def activations(name: str, **params: Any) -> dict[str, list[type[nn.Module]]]:
    """The modules without weights, in order."""
    plain = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear, nn.GroupNorm, nn.Sequential)
    return {
        network: [type(layer) for layer in module.modules() if not isinstance(layer, plain)]
        for network, module in build(spec(name, **params), (64, 64, 1)).items()
    }


def test_chen_mlp_has_relu_in_the_encoder_and_tanh_in_the_decoder() -> None:
    assert activations("chen_mlp") == {
        "encoder": [nn.Flatten, nn.ReLU, nn.ReLU],
        "decoder": [nn.Tanh, nn.Tanh, nn.Tanh, nn.Unflatten],
    }


def test_conv_wide_has_relu_after_each_layer_but_the_last() -> None:
    assert activations("conv_wide") == {
        "encoder": [nn.ReLU] * 4 + [nn.Flatten],
        "decoder": [nn.ReLU, nn.Unflatten] + [nn.ReLU] * 3,
    }


@pytest.mark.parametrize(
    ("activation", "module"),
    [
        ("relu", nn.ReLU),
        ("leaky_relu", nn.LeakyReLU),
        ("tanh", nn.Tanh),
        ("elu", nn.ELU),
        ("silu", nn.SiLU),
    ],
)
def test_the_chosen_activation_follows_each_layer_but_the_last(
    activation: str, module: type[nn.Module]
) -> None:
    assert activations("mlp", hidden=[4, 3], activation=activation) == {
        "encoder": [nn.Flatten, module, module],
        "decoder": [module, module, nn.Unflatten],
    }
    layers = {"channels": [8, 8], "hidden": [4], "normalization": "group"}
    assert activations("conv", activation=activation, **layers) == {
        "encoder": [module, module, nn.Flatten, module],
        "decoder": [module, module, nn.Unflatten, module],
    }


def normalized_by_hand(
    convolved: NDArray[np.float64], channels_a_group: int
) -> NDArray[np.float64]:
    """(x - mean) / sqrt(variance + 1e-5) of each group of channels of each image."""
    images, channels = convolved.shape[:2]
    groups = convolved.reshape(images, channels // channels_a_group, -1)
    centred = groups - groups.mean(axis=2, keepdims=True)
    deviation = np.sqrt((centred**2).mean(axis=2, keepdims=True) + 1e-5)
    normalized: NDArray[np.float64] = (centred / deviation).reshape(convolved.shape)
    return normalized


@pytest.mark.parametrize(("kind", "channels_a_group"), [("layer", 24), ("group", 8)])
def test_normalization_is_over_one_image_and_its_groups_of_channels(
    kind: str, channels_a_group: int
) -> None:
    layers: dict[str, Any] = {"channels": [24], "hidden": []}
    shape, images = (28, 28, 1), images_of((28, 28, 1))
    plain = build(spec("conv", **layers), shape)["encoder"]
    encoder = build(spec("conv", normalization=kind, **layers), shape)["encoder"]
    # Scales and shifts are not drawn, so both have the kernels of the seed.
    kernel, bias, dense, head_bias = initial_parameters({"encoder": plain}, 0)["encoder"].values()
    parameters = initial_parameters({"encoder": encoder}, 0)["encoder"]
    found = called(encoder, parameters, images)

    convolved = nn.functional.conv2d(images, kernel, bias, stride=2, padding=1)
    normalized = normalized_by_hand(convolved.double().numpy(), channels_a_group)
    flat = np.maximum(normalized, 0).reshape(3, -1)
    by_hand = flat @ dense.double().numpy().T + head_bias.double().numpy()
    np.testing.assert_allclose(found.numpy(), by_hand, rtol=1e-3, atol=1e-4)
    unnormalized = called(plain, initial_parameters({"encoder": plain}, 0)["encoder"], images)
    assert not torch.allclose(found, unnormalized, rtol=0.1)


def test_initial_scales_of_a_normalization_are_ones_and_shifts_zeros() -> None:
    modules = build(spec("conv", normalization="layer"), (64, 64, 1))
    parameters = initial_parameters(modules, seed=0)
    for network, module in modules.items():
        norms = {name for name, layer in module.named_modules() if isinstance(layer, nn.GroupNorm)}
        assert len(norms) == {"encoder": 4, "decoder": 3}[network]
        for name in norms:
            assert (parameters[network][f"{name}.weight"] == 1).all()
            assert not parameters[network][f"{name}.bias"].any()


def test_initial_weights_are_glorot_uniform_and_biases_zero() -> None:
    parameters = initial_parameters(build(spec("locatello"), (64, 64, 1)), seed=0)
    dense = parameters["decoder"]["2.weight"].numpy()
    limit = np.sqrt(6 / (256 + 1024))
    assert np.abs(dense).max() <= limit
    # A uniform variable on [-a, a] has deviation a / sqrt(3).
    assert dense.std() == pytest.approx(limit / np.sqrt(3), rel=0.01)
    kernel = parameters["decoder"]["5.weight"].numpy()
    assert np.abs(kernel).max() == pytest.approx(np.sqrt(6 / (16 * (64 + 64))), rel=1e-3)
    assert not parameters["encoder"]["0.bias"].any()


def test_initial_weights_depend_on_the_seed_alone() -> None:
    modules = build(spec("burgess"), (64, 64, 1))
    one, same, other = (initial_parameters(modules, seed)["encoder"] for seed in (3, 3, 4))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["0.weight"], other["0.weight"])


@pytest.mark.parametrize("name", ["locatello", "burgess", "conv_wide"])
def test_other_sizes_of_images_are_refused(name: str) -> None:
    with pytest.raises(UnfitImages, match=r"64 x 64 pixels.*32 x 32 with 3"):
        model(name).check((32, 32, 3))


@pytest.mark.parametrize("shape", [(15, 64, 1), (64, 15, 3), (129, 64, 1), (64, 129, 3)])
def test_conv_refuses_images_with_a_side_too_short_or_too_long(shape: ImageShape) -> None:
    with pytest.raises(UnfitImages, match=rf"16 to 128 pixels.*{shape[0]} x {shape[1]} with"):
        model("conv", channels=[8]).check(shape)


@pytest.mark.parametrize("channels", [2, 4])
def test_conv_refuses_images_that_are_neither_grey_nor_coloured(channels: int) -> None:
    with pytest.raises(UnfitImages, match=rf"1 or 3 channels.*64 x 64 with {channels} channel"):
        model("conv").check((64, 64, channels))


@pytest.mark.parametrize(
    ("shape", "fitting"),
    [((28, 28, 1), 4), ((31, 128, 1), 4), ((128, 31, 1), 4), ((32, 32, 3), 5), ((63, 64, 1), 5)],
)
def test_conv_refuses_more_convolutions_than_the_smaller_side_can_be_halved(
    shape: ImageShape, fitting: int
) -> None:
    model("conv", channels=[8] * fitting).check(shape)
    assert_decodes_to(shape, name="conv", channels=[8] * fitting)
    for layers in range(fitting + 1, 7):
        wanted = rf"at least {2**layers} pixels a side with {layers} conv.*\({fitting} fit this"
        with pytest.raises(UnfitImages, match=wanted):
            model("conv", channels=[8] * layers).check(shape)


@pytest.mark.parametrize("size", [64, 128])
def test_conv_of_six_convolutions_takes_images_of_64_pixels_and_more(size: int) -> None:
    model("conv", channels=[8] * 6).check((size, size, 3))


def test_conv_refuses_to_normalize_single_numbers() -> None:
    lone = {"channels": [8, 8, 8, 1], "normalization": "layer"}
    with pytest.raises(UnfitImages, match=r"at least 32 pixels on one side.*'layer' of 1 channel"):
        model("conv", **lone).check((28, 31, 1))
    model("conv", **lone).check((28, 32, 1))
    assert_decodes_to((28, 32, 1), name="conv", **lone)
    model("conv", **{**lone, "normalization": "none"}).check((28, 28, 1))
    model("conv", **{**lone, "channels": [8, 8, 8, 2]}).check((28, 28, 1))


def test_channels_that_make_no_whole_groups_are_refused_at_their_own_field() -> None:
    with pytest.raises(ValidationError, match="multiples of 8 for normalization 'group'") as raised:
        model("conv", channels=[16, 12], normalization="group")
    assert [error["loc"] for error in raised.value.errors()] == [("channels",)]
    with pytest.raises(InvalidSpec) as refused:
        spec("conv", channels=[16, 12], normalization="group")
    [fault] = refused.value.faults
    assert fault.path == "model.channels" and fault.got == [16, 12]
    assert fault.expected == "multiples of 8 for normalization 'group'"
    model("conv", channels=[16, 24], normalization="group")
    model("conv", channels=[16, 12], normalization="layer")


@pytest.mark.parametrize(
    ("name", "params", "path"),
    [
        ("mlp", {"hidden": []}, "model.hidden"),
        ("mlp", {"hidden": [1] * 9}, "model.hidden"),
        ("mlp", {"hidden": [8, 0]}, "model.hidden[1]"),
        ("mlp", {"hidden": [8193]}, "model.hidden[0]"),
        ("mlp", {"activation": "gelu"}, "model.activation"),
        ("conv", {"channels": []}, "model.channels"),
        ("conv", {"channels": [8] * 7}, "model.channels"),
        ("conv", {"channels": [0]}, "model.channels[0]"),
        ("conv", {"channels": [8, 1025]}, "model.channels[1]"),
        ("conv", {"hidden": [8] * 5}, "model.hidden"),
        ("conv", {"hidden": [8193]}, "model.hidden[0]"),
        ("conv", {"normalization": "batch"}, "model.normalization"),
    ],
)
def test_params_out_of_bounds_are_refused(name: str, params: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        spec(name, **params)
    assert refused.value.faults[0].path == path


def test_a_model_of_chosen_layers_survives_json() -> None:
    for made in (
        model("mlp", hidden=[3, 4], activation="elu"),
        model("conv", channels=[16], hidden=[], normalization="group", activation="silu"),
    ):
        document = made.model_dump(mode="json")
        assert type(made).model_validate(document) == made
        assert document["hidden"] == list(made.model_dump()["hidden"])
