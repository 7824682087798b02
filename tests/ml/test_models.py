import numpy as np
import pytest
import torch

from ml.architecture import Architecture, UnfitImages
from ml.networks import build, initial_parameters
from ml.registry import components, find
from ml.spec import RunSpec


def spec(name: str, latents: int = 7, seed: int = 0) -> RunSpec:
    return RunSpec.parse(
        {
            "dataset": "digits",
            "objective": "vae",
            "model": {"name": name, "latent_dim": latents},
            "seed": seed,
        }
    )


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", components("model"))
def test_networks_lead_from_images_to_head_and_from_latents_to_logits(
    name: str, channels: int
) -> None:
    shape = (64, 64, channels)
    modules = build(spec(name), shape)
    parameters = initial_parameters(modules, seed=0)
    images = torch.rand(3, channels, 64, 64)
    head = torch.func.functional_call(modules["encoder"], parameters["encoder"], (images,))
    assert head.shape == (3, 14)
    logits = torch.func.functional_call(modules["decoder"], parameters["decoder"], (head[:, :7],))
    assert logits.shape == images.shape


def weights(name: str) -> int:
    modules = build(spec(name, latents=10), (64, 64, 1))
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


@pytest.mark.parametrize("name", ["locatello", "burgess"])
def test_other_sizes_of_images_are_refused(name: str) -> None:
    model = find("model", name).model_validate({"name": name})
    assert isinstance(model, Architecture)
    with pytest.raises(UnfitImages, match=r"64 x 64 pixels.*32 x 32 with 3"):
        model.check((32, 32, 3))
