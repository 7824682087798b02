from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from ml.components.registry import components
from ml.components.spec_errors import InvalidSpec
from ml.datasets.choices import Choices, UnfitChoice, choose
from ml.datasets.dataset import UNKNOWN, Dataset
from ml.spec.identity import evaluation_key, train_id
from ml.spec.run_spec import RunSpec

SIZES = (3, 4, 5)
NAMES = ("shape", "size", "place")
ALL = np.stack(np.unravel_index(np.arange(60), SIZES), axis=1)


def grid(**changes: Any) -> Dataset:
    """60 images, whose only pixel is their number."""
    given: dict[str, Any] = {
        "name": "grid",
        "storage": np.arange(60, dtype=np.uint8).reshape(60, 1, 1, 1),
        "image_shape": (1, 1, 1),
        "factor_names": NAMES,
        "factor_sizes": SIZES,
        "factor_values": {"shape": ("square", "ellipse", "heart")},
        "labels": "grid",
        "source": "rendered",
    }
    return Dataset(**{**given, **changes})


def chosen(part: Any = "chosen", data: Dataset | None = None, **choices: Any) -> Dataset:
    return choose(data or grid(), Choices(**choices), part)


def numbers(data: Dataset) -> list[int]:
    """The numbers of the images, read from their pixels."""
    return [int(one) for one in data.images(slice(None)).ravel()]


def where(condition: np.ndarray) -> list[int]:
    return [int(one) for one in np.flatnonzero(condition)]


def test_nothing_chosen_is_the_data_set_itself() -> None:
    data = grid()
    assert choose(data, Choices(), "chosen") is data


def test_only_keeps_the_images_with_these_values_and_numbers_them_anew() -> None:
    found = chosen(only={"shape": ["heart", 0], "place": [1, 3]})
    kept = np.isin(ALL[:, 0], [0, 2]) & np.isin(ALL[:, 2], [1, 3])
    assert numbers(found) == where(kept)
    assert (found.factor_sizes, found.is_grid) == ((2, 4, 2), True)
    assert found.factor_values == {"shape": ("square", "heart"), "place": ("1", "3")}
    # The index and the factors lead to each other, as in any grid.
    factors = found.factors(slice(None))
    assert factors is not None
    np.testing.assert_array_equal(found.index(factors), np.arange(16))
    np.testing.assert_array_equal(factors[:, 0], (ALL[kept][:, 0] == 2).astype(int))


def test_without_holds_out_a_combination_and_left_out_is_the_rest() -> None:
    combinations = [{"shape": [2], "size": [0, 1]}, {"place": [4]}]
    gone = ((ALL[:, 0] == 2) & (ALL[:, 1] < 2)) | (ALL[:, 2] == 4)
    kept, left_out = chosen(without=combinations), chosen("left_out", without=combinations)
    assert numbers(kept) == where(~gone) and numbers(left_out) == where(gone)
    assert kept.factor_sizes == (3, 4, 4) and not kept.is_grid
    assert numbers(chosen("all", without=combinations)) == list(range(60))
    np.testing.assert_array_equal(kept.factors(slice(None)), ALL[~gone])


def test_fewer_images_are_drawn_among_those_that_are_kept() -> None:
    some = {"only": {"size": [0]}, "images": 7}
    found, rest = chosen(**some), chosen("left_out", **some)
    assert len(found) == 7 and set(numbers(found)) < set(where(ALL[:, 1] == 0))
    assert sorted(numbers(found) + numbers(rest)) == list(range(60))
    assert numbers(chosen(**some)) == numbers(found)
    assert numbers(chosen(**some, images_seed=1)) != numbers(found)
    assert len(chosen(images=1000)) == 60


def test_a_choice_of_a_choice_counts_in_the_first() -> None:
    half = chosen(only={"shape": [1, 2]})
    again = chosen(data=half, only={"shape": ["heart"]})
    assert numbers(again) == where(ALL[:, 0] == 2)


def test_factors_that_are_kept_have_their_own_order() -> None:
    found = chosen(keep_factors=["place", "shape"])
    assert (found.factor_names, found.factor_sizes) == (("place", "shape"), (5, 3))
    np.testing.assert_array_equal(found.factors(slice(None)), ALL[:, [2, 0]])
    assert len(found) == 60 and not found.is_grid


def test_unknown_values_are_among_no_values() -> None:
    labels = ALL.copy()
    labels[:10, 0] = UNKNOWN
    data = grid(labels=labels)
    assert numbers(chosen(data=data, only={"shape": [0, 1, 2]})) == list(range(10, 60))
    held_out = chosen("left_out", data=data, without=[{"shape": [0]}])
    assert numbers(held_out) == list(range(10, 20))
    kept = chosen(data=data, without=[{"shape": [2]}])
    factors = kept.factors(slice(None))
    assert factors is not None and kept.factor_sizes == (2, 4, 5)
    assert set(factors[:10, 0]) == {UNKNOWN} and set(factors[10:, 0]) == {0, 1}


def test_a_continuous_factor_is_chosen_by_its_lowest_and_highest_value() -> None:
    labels = ALL.astype(np.float64)
    labels[:, 2] = np.linspace(-1, 1, 60)
    labels[0, 2] = np.nan
    kinds = ("discrete", "discrete", "continuous")
    data = grid(labels=labels, factor_kinds=kinds, factor_sizes=(3, 4, 59))
    found = chosen(data=data, only={"place": [-1, 0.0]})
    assert numbers(found) == list(range(1, 30)) and found.factor_sizes[2] == 29
    with pytest.raises(UnfitChoice, match=r"only\.place: expected the lowest and the highest"):
        chosen(data=data, only={"place": [1]})


def test_correlated_factors_weigh_as_in_the_study() -> None:
    pair = {"factors": ["shape", "place"], "sigma": 0.2}
    found = chosen(correlated=[pair])
    apart = ALL[:, 0] / 2 - ALL[:, 2] / 4
    np.testing.assert_allclose(found.weights, np.exp(-(apart**2) / (2 * 0.04)), rtol=1e-12)
    assert numbers(found) == list(range(60)) and found.is_grid
    inverse = chosen(correlated=[{**pair, "inverse": True}]).weights
    assert inverse is not None
    # The first shape goes with the last place.
    assert inverse[grid().index([[0, 0, 4]])[0]] == inverse.max() == 1.0
    both = chosen(correlated=[pair, {"factors": ["size", "place"], "sigma": 1.0}]).weights
    second = np.exp(-((ALL[:, 1] / 3 - ALL[:, 2] / 4) ** 2) / 2)
    np.testing.assert_allclose(both, found.weights * second, rtol=1e-12)
    # Rows that are left out take their weights along.
    few = chosen(correlated=[pair], only={"size": [1]})
    assert found.weights is not None
    np.testing.assert_array_equal(few.weights, found.weights[ALL[:, 1] == 1])


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"only": {"shpe": [0]}}, "only.shpe: expected one of shape, size, place"),
        ({"only": {"shape": [3]}}, "only.shape: expected a number from 0 to 2, but got 3"),
        ({"only": {"size": [0.5]}}, "only.size: expected a number from 0 to 3"),
        ({"only": {"shape": ["hart"]}}, "only.shape: expected one of square, ellipse, heart"),
        ({"without": [{"size": [0]}, {"x": [0]}]}, r"without\[1\].x: expected one of"),
        ({"keep_factors": ["x"]}, r"keep_factors\[0\]: expected one of"),
        ({"keep_factors": ["size", "size"]}, "keep_factors: expected different factors"),
        (
            {"correlated": [{"factors": ["size", "y"], "sigma": 1}]},
            r"correlated\[0\].factors\[1\]: expected one of",
        ),
        (
            {"correlated": [{"factors": ["size", "size"], "sigma": 1}]},
            r"correlated\[0\].factors: expected two factors",
        ),
        (
            {"only": {"shape": [0]}, "without": [{"shape": [0]}]},
            "images: expected at least 2 images",
        ),
    ],
)
def test_a_choice_that_does_not_fit_is_named(choices: dict[str, Any], said: str) -> None:
    with pytest.raises(UnfitChoice, match=said):
        chosen(**choices)


def test_images_without_factors_can_be_fewer_and_nothing_else() -> None:
    data = grid(labels=None, factor_names=(), factor_sizes=(), factor_values={})
    assert len(chosen(data=data, images=5)) == 5
    with pytest.raises(UnfitChoice, match="expected none, as the images have no factors"):
        chosen(data=data, only={"shape": [0]})


def spec(**dataset: Any) -> RunSpec:
    return RunSpec.parse({"dataset": {"name": "dsprites", **dataset}, "objective": "vae"})


def test_a_spec_with_a_choice_that_does_not_fit_is_refused_with_its_path() -> None:
    with pytest.raises(InvalidSpec) as refused:
        spec(only={"shape": [0, 5]}, without=[{"colour": [1]}])
    assert [fault.path for fault in refused.value.faults] == [
        "dataset.only.shape",
        "dataset.without[0].colour",
    ]
    with pytest.raises(InvalidSpec) as refused:
        RunSpec.parse(
            {"dataset": "digits", "objective": "vae", "evaluation": {"images": "left_out"}}
        )
    assert [fault.path for fault in refused.value.faults] == ["evaluation.images"]


def test_choices_are_part_of_the_identity_and_their_absence_is_not() -> None:
    plain = spec()
    assert not set(Choices.model_fields) & set(plain.dataset.identity())
    others = [
        spec(only={"shape": [0]}),
        spec(without=[{"shape": [0]}]),
        spec(images=1000),
        spec(images=1000, images_seed=1),
        spec(keep_factors=["shape"]),
        spec(correlated=[{"factors": ["shape", "posX"], "sigma": 0.2}]),
    ]
    assert len({train_id(one) for one in [plain, *others]}) == 7
    of_all = RunSpec.parse({**plain.document(), "evaluation": {"images": "all"}})
    assert train_id(of_all) == train_id(plain) and evaluation_key(of_all) != evaluation_key(plain)


def test_a_published_split_is_given_by_its_name() -> None:
    named = spec(without="leave_one_out").dataset
    assert named == spec(without=[dict(one) for one in named.without]).dataset
    # 120 < orientation < 240 degrees, places over 0.66 of 1, scales over 0.6: by their values.
    (held_out,) = named.without
    assert list(held_out["orientation"]) == [
        k for k in range(40) if 120 < round(k * 360 / 39, 6) < 240
    ]
    assert list(held_out["posX"]) == [k for k in range(32) if k / 31 > 0.66]
    assert list(held_out["scale"]) == [k for k in range(6) if 0.5 + k / 10 > 0.6 + 1e-9]
    with pytest.raises(InvalidSpec, match="a published split"):
        spec(without="leave_two_out")


def test_every_published_split_fits_its_data_set() -> None:
    for name, component in components("dataset").items():
        splits: Mapping[str, Sequence[object]] = component.splits  # type: ignore[attr-defined]
        for split in splits:
            dataset = component.model_validate({"name": name, "without": split})
            assert not dataset.unfit_choices(), f"{name}: {split}"  # type: ignore[attr-defined]
