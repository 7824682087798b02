"""A trained model, which several requests may use at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch.func import functional_call

from ml.networks.model import Model
from ml.networks.networks import build, initial_parameters
from ml.spec.run_spec import RunSpec

SHAPE = (64, 64, 1)


def model() -> Model:
    network = {"name": "burgess", "latent_dim": 3}
    spec = RunSpec.parse({"dataset": "digits", "objective": "factor_vae", "model": network})
    return Model(spec, SHAPE, initial_parameters(build(spec, SHAPE), seed=0), steps=0)


def images(samples: int) -> torch.Tensor:
    return torch.rand(samples, 1, 64, 64, generator=torch.Generator().manual_seed(1))


def test_its_networks_are_those_of_its_parameters() -> None:
    one, seen = model(), images(3)
    before = {name: t.clone() for name, t in one.parameters["encoder"].items()}
    plain = build(one.spec, SHAPE)["encoder"]
    wanted = functional_call(plain, one.parameters["encoder"], (seen,))[:, :3]
    for _ in range(2):
        np.testing.assert_allclose(one.encode(seen).mean, wanted, atol=1e-5)
    assert not one.encode(seen).head.requires_grad
    # Neither images nor weights are written to.
    assert torch.equal(seen, images(3))
    assert all(torch.equal(t, before[name]) for name, t in one.parameters["encoder"].items())


def test_threads_that_use_it_at_once_do_not_disturb_each_other() -> None:
    one = model()
    batches = [images(samples) for samples in range(1, 9)]
    wanted = [model().encode(batch).mean for batch in batches]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            for found, alone in zip(
                pool.map(lambda batch: one.encode(batch).mean, batches), wanted, strict=True
            ):
                np.testing.assert_allclose(found, alone, atol=1e-6)


def test_it_is_saved_and_read_again_after_it_was_used() -> None:
    one = model()
    file = one.to_bytes()
    codes = one.encode(images(2)).mean
    assert one.to_bytes() == file
    np.testing.assert_array_equal(Model.from_bytes(file).encode(images(2)).mean, codes)
