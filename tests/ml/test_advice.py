from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ml import score
from ml.advice import Advice, advise
from ml.datasets.dsprites import DSprites
from ml.metric import NullDistribution, Score

GRID = np.indices((3, 6, 8)).reshape(3, -1).T.repeat(10, axis=0)


def mig_of(codes: np.ndarray, factors: np.ndarray, **options: Any) -> Score:
    (found,) = score(codes, factors, ["mig"], **options)
    return found


def about(found: list[Advice]) -> list[str]:
    return [one.about for one in found]


def test_nothing_is_said_of_a_good_score() -> None:
    codes = GRID + np.random.default_rng(0).normal(0, 0.05, GRID.shape)
    steady = [(step, 50.0 + (step % 3)) for step in range(100)]
    curves = {"reconstruction": steady, "kl_per_latent/0": [(99, 2.0)]}
    assert advise([mig_of(codes, GRID)], curves=curves) == []


def test_noise_that_few_rows_make_look_alike_is_not_said_to_keep_a_factor() -> None:
    draws = np.random.default_rng(0)
    factors = np.stack([draws.integers(0, size, 200) for size in (40, 32)], axis=1)
    found = advise([mig_of(draws.normal(size=(200, 4)), factors)])
    assert not any("know" in one.reason for one in found)


def test_a_missing_interval_is_explained() -> None:
    factors = np.c_[np.arange(300) == 7, np.arange(300) % 3].astype(int)
    codes = np.random.default_rng(0).normal(size=(300, 3))
    assert any("constant in" in one.reason for one in advise([mig_of(codes, factors)]))


def test_noise_lies_inside_its_null() -> None:
    noise = np.random.default_rng(1).normal(size=GRID.shape)
    (found,) = advise([mig_of(noise, GRID, seed=1)])
    assert found.about == "mig" and "1000 permutations" in found.reason


@pytest.mark.parametrize(("higher", "value", "told"), [(False, 0.9, True), (False, 0.1, False)])
def test_an_error_inside_its_null_is_told_by_its_direction(
    higher: bool, value: float, told: bool
) -> None:
    codes = np.random.default_rng(0).normal(size=GRID.shape)
    one = mig_of(codes, GRID).model_copy(
        update={
            "name": "distance",
            "metric": "dci",
            "value": value,
            "higher_is_better": higher,
            "null": NullDistribution(mean=0.85, std=0.01, replicates=3),
        }
    )
    assert ("distance" in about(advise([one]))) is told


def test_two_latents_that_know_one_factor_are_named() -> None:
    codes = np.c_[GRID[:, 0], GRID[:, 0] + 0.01, GRID[:, 1], GRID[:, 2]]
    (found,) = advise([mig_of(codes, GRID, factor_names=["shape", "scale", "x"])])
    assert found.about == "shape" and "z0" in found.reason and "z1" in found.reason
    assert found.reason.count("100%") == 2


def test_a_factor_of_more_values_than_bins_is_named_with_the_most_it_can_score() -> None:
    factors = np.random.default_rng(0).integers(0, 40, (4000, 1))
    (found,) = advise([mig_of(factors.astype(float), factors, factor_names=["orientation"])])
    # log 20 / log 40 = 0.812
    assert "orientation" in found.reason and "0.81 (orientation)" in found.suggestion


def test_what_no_encoder_can_tell_of_dsprites_is_said_where_it_was_scored() -> None:
    names = ["shape", "orientation", "posX"]
    scored = mig_of(GRID.astype(float), GRID, factor_names=names)
    assert about(advise([scored], dataset=DSprites())) == ["orientation"]
    other = mig_of(GRID.astype(float), GRID, factor_names=["a", "b", "c"])
    assert advise([other], dataset=DSprites()) == []


def test_unused_latents_are_counted_and_collapse_is_called_so() -> None:
    some = {f"kl_per_latent/{k}": [(1, 3.0), (9, value)] for k, value in enumerate([2.0, 0.001])}
    (found,) = advise([], curves=some)
    assert "1 of 2 latents are unused (z1)" in found.reason
    (found,) = advise([], curves={tag: [(9, 0.0)] for tag in some})
    assert "all 2 latents have collapsed" in found.reason


def test_a_capacity_that_was_not_reached_is_told_and_not_blamed_on_beta() -> None:
    curves = {"capacity": [(1, 0.0), (2, 0.1), (3, 0.2)], "kl_per_latent/0": [(3, 0.0)]}
    unused, growing = advise([], curves=curves)
    assert "capacity" in unused.suggestion and "beta" not in unused.suggestion
    assert "at 0.2 nats" in growing.reason and "anneal_steps" in growing.suggestion
    assert advise([], curves={"capacity": [(1, 0.1), (2, 5.0), (3, 5.0)]}) == []


def test_a_reconstruction_that_still_falls_is_told_from_noise() -> None:
    draws = np.random.default_rng(2)
    noise = draws.normal(0, 2, 200)
    falling = [(k, float(v)) for k, v in enumerate(200 - 0.5 * np.arange(200) + noise)]
    (found,) = advise([], curves={"reconstruction": falling})
    assert "still falling" in found.reason and "train" in found.suggestion
    flat = [(k, float(v)) for k, v in enumerate(100 + 5 * noise)]
    assert advise([], curves={"reconstruction": flat}) == []
    assert advise([], curves={"reconstruction": falling[:10]}) == []
