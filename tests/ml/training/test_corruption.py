"""What the encoder sees of an image in training, if the data set's params say other than it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ml import train
from ml.components.registry import components
from ml.datasets.protocol import dataset
from ml.objectives.protocol import Step, checked_updates
from ml.recorder import Stopped
from ml.spec.identity import cohort_key, train_id
from ml.spec.run_spec import RunSpec
from ml.training.corruption import hidden_sides
from ml.training.feed import Feed, Inputs
from tests.ml.recorders import Kept

DIGITS = dataset("digits", size=32)
NOISY = {"input_noise": 0.25}
HIDDEN = {"input_mask": 0.25}


def spec(objective: Any = "beta_vae", *, seed: int = 0, **params: Any) -> RunSpec:
    return RunSpec.parse(
        {
            "dataset": {"name": "digits", "size": 32, **params},
            "model": {"name": "mlp", "hidden": [24], "latent_dim": 4},
            "objective": objective,
            "training": {"steps": 8, "batch_size": 16},
            "seed": seed,
        }
    )


def inputs(*specs: RunSpec, step: int = 0) -> Inputs:
    feed = Feed(specs, checked_updates(specs[0].objective), DIGITS, torch.device("cpu"))
    return feed.at([step] * len(specs), range(len(specs)))


def test_without_corruption_the_encoder_sees_the_images() -> None:
    given = inputs(spec())
    assert given.seen[0] is given.images[0]


def test_noise_has_the_deviation_that_is_asked_for_and_is_clipped() -> None:
    given, clean = inputs(spec(**NOISY)), inputs(spec())
    assert torch.equal(given.images[0], clean.images[0])
    seen, images = given.seen[0], given.images[0]
    assert seen.min() == 0 and seen.max() == 1
    black = images == 0
    assert black.sum() > 4000
    above = (seen[black] > 0).float().mean().item()
    assert above == pytest.approx(0.5, abs=0.02)
    # E[max(0, n)^2] is half the variance.
    assert seen[black].square().mean().item() == pytest.approx(0.25**2 / 2, rel=0.08)


def test_a_quarter_of_each_image_is_hidden_at_places_of_its_own() -> None:
    given = inputs(spec(**HIDDEN))
    # Images without black pixels: what is black was hidden.
    feed = Feed([spec(**HIDDEN)], checked_updates(spec().objective), DIGITS, torch.device("cpu"))
    feed._images.gather = lambda index: torch.ones(len(index), 1, 32, 32)  # type: ignore[method-assign]
    corners = set()
    for step in range(20):
        for seen in feed.at([step], [0]).seen[0][0, :, 0]:
            rows, columns = np.nonzero(seen.numpy() == 0)
            assert len(rows) == 16 * 16
            assert np.ptp(rows) == np.ptp(columns) == 15
            corners.add((rows.min(), columns.min()))
    assert {min(c) for c in zip(*corners, strict=True)} == {0}
    assert {max(c) for c in zip(*corners, strict=True)} == {16}
    visible = given.seen[0] != 0
    assert torch.equal(given.seen[0][visible], given.images[0][visible])


def test_a_hidden_part_has_the_images_proportions_and_at_least_a_pixel() -> None:
    assert hidden_sides(0.25, 64, 32) == (32, 16)
    assert hidden_sides(1e-9, 64, 64) == (1, 1)


def test_a_run_is_shown_in_a_cohort_what_it_is_shown_alone() -> None:
    both = [spec(seed=seed, **NOISY, **HIDDEN) for seed in (0, 1)]
    together = inputs(*both, step=300)
    for place, one in enumerate(both):
        assert torch.equal(together.seen[0][place], inputs(one, step=300).seen[0][0])
    assert not torch.equal(together.seen[0][0] - together.images[0][0], together.seen[0][1])


def test_every_batch_has_noise_of_its_own() -> None:
    given = inputs(spec({"name": "factor_vae", "permute": "second_batch"}, **NOISY))
    black = (given.images[0] == 0) & (given.images[1] == 0)
    assert not torch.equal(given.seen[0][black], given.seen[1][black])


@pytest.mark.parametrize("name", components("objective"))
def test_every_objective_encodes_what_is_to_be_seen_and_decodes_the_images(name: str) -> None:
    shown: list[torch.Tensor] = []
    wanted: list[torch.Tensor] = []
    run = spec(name)
    given = inputs(run)
    needs = run.objective.needs()

    class Watched:
        def encode(self, images: torch.Tensor) -> torch.Tensor:
            shown.append(images)
            return torch.zeros(len(images), 4 * run.objective.posterior.numbers_per_latent)

        def decode(self, latents: torch.Tensor) -> torch.Tensor:
            return torch.zeros(len(latents), 1, 32, 32)

        def reconstruction(self, latents: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
            wanted.append(images)
            return torch.zeros(len(latents))

        def call(self, network: str, inputs: torch.Tensor) -> torch.Tensor:
            return torch.zeros(len(inputs), 2)

    images = tuple(batch[0] for batch in given.images)
    seen = tuple(batch + 1 for batch in images)
    run.objective.loss(
        Watched(),
        Step(
            images,
            len(DIGITS),
            {key: draws[0] for key, draws in given.draws.items()},
            {key: value[0] for key, value in given.coefficients.items()},
            given.done[0],
            {},
            seen,
            **{key: value[0] for key, value in given.supervision.items()},
        ),
    )
    assert [id(one) for one in shown] == [id(one) for one in seen[: len(shown)]]
    reconstructed = needs.batches + (needs.pairs is not None)
    assert [id(one) for one in wanted] == [id(one) for one in images[:reconstructed]]


@pytest.mark.parametrize("params", [NOISY, HIDDEN])
def test_corrupted_runs_go_on_bit_for_bit_and_differ_from_clean_ones(
    params: dict[str, Any],
) -> None:
    def paused(run: RunSpec, *, at: int, start: bytes | None = None) -> bytes:
        kept = Kept(start=start, pause_at=at)
        with pytest.raises(Stopped):
            train(run, kept, data=DIGITS)
        return kept.files[-1]

    run = spec(**params)
    whole = paused(run, at=8)
    assert paused(run, at=8, start=paused(run, at=3)) == whole
    clean, corrupted = train(spec(), data=DIGITS), train(run, data=DIGITS)
    assert not all(
        torch.equal(tensor, corrupted.parameters["encoder"][name])
        for name, tensor in clean.parameters["encoder"].items()
    )


def test_corruption_has_an_identity_and_its_absence_has_none() -> None:
    runs = [spec(), spec(input_noise=0, input_mask=0), spec(**NOISY), spec(**HIDDEN)]
    assert not {"input_noise", "input_mask"} & set(runs[0].dataset.identity())
    for key in (train_id, cohort_key):
        found = [key(run) for run in runs]
        assert found[0] == found[1] and len(set(found)) == 3
