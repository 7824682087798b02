"""Which pairs and which labelled images a batch has."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from ml.datasets.choices import UnfitChoice
from ml.datasets.dataset import Dataset
from ml.networks.model import Model
from ml.objectives.protocol import Labels, Needs, Pairs
from ml.recorder import Silent, Stopped
from ml.spec.choices import Sampling
from ml.spec.identity import cohort_key
from ml.spec.run_spec import RunSpec
from ml.training.labelled import LabelledImages
from ml.training.loop import train, train_cohort
from ml.training.pairs import PairBatch, PairIndices, PairTable
from ml.training.unmet_needs import UnmetNeeds, check_needs
from tests.ml.recorders import Kept

SIZES = (3, 4, 5, 1)


def made(labels: Any = "grid", *, sizes: tuple[int, ...] = SIZES, **fields: Any) -> Dataset:
    """A data set of black pictures."""
    images = len(labels) if isinstance(labels, np.ndarray) else math.prod(sizes)
    return Dataset(
        name="made",
        storage=np.zeros((images, 4, 4, 1), np.uint8),
        image_shape=(4, 4, 1),
        factor_names=tuple("abcd"[: len(sizes)]),
        factor_sizes=sizes,
        labels=labels,
        source="made",
        **fields,
    )


def grid(sizes: tuple[int, ...] = SIZES) -> np.ndarray:
    return np.stack(np.unravel_index(np.arange(math.prod(sizes)), sizes), axis=1)


def pairs_of(
    data: Dataset,
    pairs: Pairs,
    *,
    steps: int = 20,
    batch: int = 64,
    sampling: Sampling = "with_replacement",
    seed: int = 0,
) -> PairBatch:
    drawn = PairIndices(PairTable(data), pairs, seed=seed, sampling=sampling, batch=batch)
    each = [drawn.at(step) for step in range(steps)]
    return PairBatch(*map(np.concatenate, zip(*each, strict=True)))


def differing(data: Dataset, found: PairBatch) -> np.ndarray:
    one, other = data.factors(found.first), data.factors(found.second)
    assert one is not None and other is not None
    return np.asarray(one != other)


INCOMPLETE = made(np.random.default_rng(0).permutation(grid())[:40])
UNKNOWN = made(np.where(np.arange(60)[:, None] % 4 == 0, -1, grid()))
REPEATED = made(np.concatenate([grid(), grid()[::-1]]))


@pytest.mark.parametrize("data", [made(), INCOMPLETE, UNKNOWN, REPEATED])
@pytest.mark.parametrize("changed", [1, 2])
def test_a_pair_differs_in_exactly_so_many_factors(data: Dataset, changed: int) -> None:
    found = pairs_of(data, Pairs(changed))
    differ = differing(data, found)
    assert (differ.sum(1) == changed).all()
    assert np.array_equal(differ, found.changed)
    assert set(found.first) | set(found.second) <= set(data.labelled())


def test_by_default_a_pair_differs_in_one_to_all_but_one_factor_that_varies() -> None:
    # One of the four factors has a single value, so pairs differ in one or two of three.
    found = pairs_of(made(), Pairs(), steps=100)
    counts = np.bincount(found.changed.sum(1), minlength=5)
    # Binomial: 3,200 each, with a deviation of 40.
    assert abs(counts[1] - 3200) < 200 and counts[1] + counts[2] == 6400
    assert not found.changed[:, 3].any()


def test_on_a_grid_every_other_value_of_each_factor_is_as_likely() -> None:
    data = made()
    found = pairs_of(data, Pairs(1), steps=200)
    one, other = data.factors(found.first), data.factors(found.second)
    assert one is not None and other is not None
    assert abs(found.changed.sum(0)[:3] - 12800 / 3).max() < 5 * math.sqrt(12800 * 2 / 9)
    ahead = ((other - one) % 5)[found.changed[:, 2], 2]
    # A quarter each of about 4,267.
    assert abs(np.bincount(ahead, minlength=5)[1:] - len(ahead) / 4).max() < 5 * 28.3


def test_images_with_the_same_factors_are_all_drawn_as_partners() -> None:
    assert set(pairs_of(REPEATED, Pairs(1), steps=50).second) == set(range(120))


@pytest.mark.parametrize("sampling", ["epochs", "with_replacement"])
@pytest.mark.parametrize("data", [made(), INCOMPLETE])
def test_pairs_depend_on_seed_and_step_alone(data: Dataset, sampling: Sampling) -> None:
    table = PairTable(data)

    def drawn(seed: int, *steps: int) -> PairBatch:
        made_anew = PairIndices(table, Pairs(), seed=seed, sampling=sampling, batch=16)
        return [made_anew.at(step) for step in steps][-1]

    for one, other in zip(drawn(0, *range(300)), drawn(0, 299), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(drawn(0, 3).second, drawn(1, 3).second)


def test_in_epochs_every_image_is_a_first_image_once() -> None:
    found = pairs_of(made(), Pairs(1), steps=3, batch=20, sampling="epochs")
    assert sorted(found.first) == list(range(60))


def test_both_images_of_a_pair_are_drawn_by_their_weights() -> None:
    # Values 0 to 4 of the one factor. Value 0 is never drawn, and value 4 three times as often.
    weights = np.array([0.0, 1.0, 1.0, 1.0, 3.0])
    data = made(sizes=(5,), weights=weights)
    found = pairs_of(data, Pairs(1), steps=500)
    counts = np.bincount(found.first, minlength=5)
    assert counts[0] == 0 and 0 not in found.second
    assert counts / 32000 == pytest.approx(weights / 6, abs=0.02)
    partners = np.bincount(found.second[found.first == 1], minlength=5)
    assert partners / partners.sum() == pytest.approx([0, 0, 0.2, 0.2, 0.6], abs=0.04)


def test_images_of_which_none_has_a_partner_are_refused() -> None:
    diagonal = made(np.repeat(np.arange(3), 3).reshape(3, 3), sizes=(3, 3, 3))
    with pytest.raises(UnmetNeeds, match="differ in 1 factors alone"):
        pairs_of(diagonal, Pairs(1), batch=4)


def test_an_image_without_a_partner_is_replaced() -> None:
    # The last image shares nothing with the others.
    data = made(np.array([[0, 0], [0, 1], [1, 0], [2, 2]]), sizes=(3, 3))
    found = pairs_of(data, Pairs(1), batch=16, steps=10)
    assert 3 not in found.first and (differing(data, found).sum(1) == 1).all()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (made(None), "discrete factors alone, not none"),
        (made(np.full((60, 4), -1)), "discrete factors alone, not none"),
        (
            made(
                np.random.default_rng(0).random((60, 1)),
                sizes=(60,),
                factor_kinds=("continuous",),
            ),
            r"not a \(continuous\)",
        ),
    ],
)
def test_a_data_set_without_discrete_factors_is_refused(data: Dataset, said: str) -> None:
    with pytest.raises(UnmetNeeds, match=said):
        check_needs(Needs(pairs=Pairs()), data, latents=4)
    assert check_needs(Needs(), data, latents=4) is None


def spec(objective: Any, **dataset: Any) -> dict[str, Any]:
    return {
        "dataset": {"name": "digits", "size": 32, **dataset},
        "model": {"name": "mlp", "hidden": [8], "latent_dim": 4},
        "objective": objective,
        "training": {"steps": 2, "batch_size": 4},
    }


@pytest.mark.parametrize(
    ("objective", "said"),
    [
        ({"name": "ada_gvae", "changed": 2}, "changed of at most 1"),
        ({"name": "semi_supervised", "labels": 5000}, "5000 images .* not 1500"),
        ({"name": "semi_supervised", "factors": ["shape"]}, "factors shape .* not digit"),
    ],
)
def test_a_run_says_what_its_data_set_lacks(objective: dict[str, Any], said: str) -> None:
    # Of a part of the images no spec says what it lacks.
    with pytest.raises(UnmetNeeds, match=said) as caught:
        train(spec(objective, images=1500))
    assert caught.value.advice


def labelled(data: Dataset, labels: Labels, *, seed: int = 0, batch: int = 8) -> LabelledImages:
    return LabelledImages(labels, data, seed=seed, batch=batch)


def test_a_runs_labelled_images_stay_the_same_and_have_known_factors() -> None:
    drawn = labelled(UNKNOWN, Labels(10))
    every = np.concatenate([drawn.indices(step) for step in range(200)])
    assert set(every) == set(drawn.images) and len(set(every)) == 10
    assert set(every) <= set(UNKNOWN.labelled())
    again = labelled(UNKNOWN, Labels(10))
    np.testing.assert_array_equal(again.indices(150), drawn.indices(150))
    np.testing.assert_array_equal(again.labels(150), drawn.labels(150))
    assert set(labelled(UNKNOWN, Labels(10), seed=1).images) != set(drawn.images)


def test_labels_are_values_by_their_number_and_places_between_the_ends() -> None:
    values = np.array([[0, 2.0], [1, 4.0], [3, 7.0], [2, np.nan]])
    data = made(values, sizes=(4, 3), factor_kinds=("discrete", "continuous"))
    drawn = labelled(data, Labels(3, factors=("b", "a")))
    expected = {0: [0.0, 0.0], 1: [0.4, 0.25], 2: [1.0, 0.75]}
    index, labels = drawn.indices(5), drawn.labels(5)
    assert labels.dtype == np.float32
    assert labels.tolist() == pytest.approx(np.array([expected[k] for k in index]))


def test_factors_of_a_single_value_have_no_label() -> None:
    assert labelled(made(), Labels(10)).labels(0).shape == (8, 3)


def test_images_that_weigh_nothing_have_no_labels() -> None:
    weights = np.where(np.arange(60) < 12, 1.0, 0.0)
    assert set(labelled(made(weights=weights), Labels(12)).images) == set(range(12))
    with pytest.raises(UnmetNeeds, match="13 images whose factors are known, not 12"):
        labelled(made(weights=weights), Labels(13))


@pytest.mark.parametrize("sampling", ["with_replacement", "epochs"])
def test_known_pairs_train_with_either_sampling(sampling: Sampling) -> None:
    run = spec({"name": "ada_ml_vae", "known": True})
    run["training"]["sampling"] = sampling
    assert all(torch.isfinite(t).all() for t in train(run).parameters["encoder"].values())


def test_a_linear_head_goes_on_bit_for_bit_and_trains_in_a_cohort() -> None:
    head = {"name": "semi_supervised", "head": "linear", "factors": ["digit"], "labels": 100}

    def paused(*, at: int, start: bytes | None = None) -> bytes:
        kept = Kept(start=start, pause_at=at)
        with pytest.raises(Stopped):
            train(spec(head), kept)
        return kept.files[-1]

    assert paused(at=2, start=paused(at=1)) == paused(at=2)
    both = [spec({**head, "weight": weight}) for weight in (1, 64)]
    for run, (_, model) in zip(both, train_cohort(both), strict=True):
        assert not isinstance(model, Exception)
        alone = train(run).parameters["head"]["weight"]
        torch.testing.assert_close(model.parameters["head"]["weight"], alone, atol=1e-5, rtol=0)


PICTURES = np.random.default_rng(3).integers(0, 256, (48, 64, 64, 1), dtype=np.uint8)
LIKE_DSPRITES = Dataset(
    name="dsprites",
    storage=PICTURES,
    image_shape=(64, 64, 1),
    factor_names=("shape", "scale", "orientation", "posX", "posY"),
    factor_sizes=(3, 4, 2, 2, 1),
    labels="grid",
    weights=np.linspace(0, 1, 48),
    source="made",
)
OF_MANY_FACTORS = [
    {"name": "ada_gvae", "changed": 2},
    {"name": "ada_ml_vae", "known": True},
    {"name": "semi_supervised", "labels": 20},
    {"name": "semi_supervised", "labels": 20, "head": "linear", "factors": ["posX", "shape"]},
]


@pytest.mark.parametrize("objective", OF_MANY_FACTORS, ids=str)
def test_runs_on_several_factors_go_on_bit_for_bit_and_as_in_a_cohort(
    objective: dict[str, Any],
) -> None:
    def run(seed: int) -> dict[str, Any]:
        return {
            "dataset": "dsprites",
            "model": {"name": "mlp", "hidden": [16], "latent_dim": 5},
            "objective": objective,
            "training": {"steps": 6, "batch_size": 16},
            "seed": seed,
        }

    def paused(*, at: int, start: bytes | None = None) -> bytes:
        kept = Kept(start=start, pause_at=at)
        with pytest.raises(Stopped):
            train(run(0), kept, data=LIKE_DSPRITES)
        return kept.files[-1]

    assert paused(at=6, start=paused(at=4)) == paused(at=6)
    together = dict(train_cohort([run(0), run(1)], data=LIKE_DSPRITES))
    for seed, model in together.items():
        assert not isinstance(model, Exception)
        alone = train(run(seed), data=LIKE_DSPRITES)
        for network, named in alone.parameters.items():
            for name, tensor in named.items():
                torch.testing.assert_close(
                    model.parameters[network][name], tensor, atol=1e-4, rtol=0
                )


def test_a_run_whose_evaluation_has_no_images_ends_before_it_is_trained() -> None:
    spec = {
        "dataset": {"name": "digits", "images": 1797},
        "model": {"name": "mlp", "hidden": [8], "latent_dim": 2},
        "objective": "vae",
        "training": {"steps": 2, "batch_size": 4},
    }
    alone, other = ({**spec, "evaluation": {"images": of}} for of in ("left_out", "chosen"))
    outcomes = dict(train_cohort([alone, other], [Silent(), Silent()]))
    assert isinstance(outcomes[0], UnfitChoice) and "0 of 1797" in str(outcomes[0])
    assert isinstance(outcomes[1], Model)


def test_runs_of_other_pairs_are_no_cohort() -> None:
    keys = {
        cohort_key(RunSpec.parse(spec({"name": "ada_gvae", "beta": beta, "changed": changed})))
        for beta, changed in [(1, None), (2, None), (1, 1)]
    }
    assert len(keys) == 2
