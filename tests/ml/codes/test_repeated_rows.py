"""Rows that stand several times in a file: known by heart, and kept together by the null."""

from typing import Any

import numpy as np
import pytest

from ml import score
from ml.codes.checked_rows import rows_of
from ml.codes.repeated_rows import blocks, trained_on
from ml.codes.rows import Rows
from ml.codes.uncertainty import permutations, subsamples, without_groups
from ml.evaluation.advice import advise
from ml.metrics.protocol import Score
from ml.metrics.significance import is_clear


def noise(rows: int, times: int = 1, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Codes that know nothing, each row so many times, in any order."""
    draws = np.random.default_rng(seed)
    codes = draws.normal(size=(rows, 3)).astype(np.float32)
    factors = np.stack([draws.integers(0, size, rows) for size in (4, 5)], axis=1)
    index = draws.permutation(np.repeat(np.arange(rows), times))
    return codes[index], factors[index]


def by_number(found: list[Score]) -> dict[str, Score]:
    return {one.name: one for one in found}


def test_rows_that_stand_twice_are_told_and_do_not_look_clear_of_their_null(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Each permutation is a fit of boosted trees, and twenty of them show it as fifty do.
    monkeypatch.setattr("ml.codes.uncertainty.MOST_PERMUTATIONS", 20)
    scores = score(*noise(300, 2), ["mig", "dci"])
    test = by_number(scores)["informativeness_test"]
    assert test.value is not None and test.null is not None
    # Chance is 0.225: the null must show that rows are known by heart.
    assert test.value > 0.6 and test.null.mean > 0.6
    assert not is_clear(test.value, test.null, higher_is_better=True)
    assert test.details["test_rows"] == 150
    told = [one for one in advise(scores) if one.about == "rows"]
    assert [one.reason.partition(", ")[0] for one in told] == [
        "300 of 600 rows repeat another one",
        f"{test.details['test_rows_trained_on']} of 150 test rows stand among the training rows",
    ]
    assert "train_rows" in told[1].suggestion


def test_of_rows_that_stand_once_nothing_is_said() -> None:
    scores = score(*noise(200), ["mig", {"name": "sap", "predictor": "correlation"}])
    assert not any("rows" in name for one in scores for name in one.details)
    assert "rows" not in [one.about for one in advise(scores)]


def test_rows_of_an_image_in_one_part_are_not_known_by_heart() -> None:
    codes, factors = noise(300, 2)
    order = np.lexsort(codes.T)
    rows = rows_of(codes[order], factors[order], train_rows=400)
    assert trained_on(rows) == 0 and len(np.unique(blocks(rows))) == 300
    scores = score(codes[order], factors[order], "dci", train_rows=400)
    told = [one.reason for one in advise(scores) if one.about == "rows"]
    assert len(told) == 1 and told[0].startswith("300 of 600 rows repeat")


@pytest.mark.parametrize(
    ("codes", "factors"),
    [
        # Codes of few values are equal by chance.
        (np.random.default_rng(0).integers(0, 4, (400, 3)).astype(float), None),
        # A perfect code of a grid.
        (np.indices((3, 6, 8)).reshape(3, -1).T.repeat(10, axis=0).astype(float), "codes"),
        # Collapsed codes, and one code that is one factor.
        (np.zeros((400, 3)), None),
        (np.arange(400.0).reshape(-1, 1) % 7, "codes"),
    ],
)
def test_codes_of_few_values_are_no_rows_that_stand_twice(codes: np.ndarray, factors: Any) -> None:
    known = np.random.default_rng(1).integers(0, 3, (len(codes), 2))
    rows = rows_of(codes, codes.astype(int) if factors == "codes" else known)
    assert blocks(rows).tolist() == list(range(len(codes)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_that_differ_by_rounding_are_one_and_the_same(dtype: type) -> None:
    codes, factors = noise(300, 2)
    whole, rounded = blocks(rows_of(codes, factors)), np.random.default_rng(1)
    codes = (codes * (1 + 3e-7 * rounded.standard_normal(codes.shape))).astype(dtype)
    assert len(np.unique(codes[:, 0])) > 400
    np.testing.assert_array_equal(blocks(rows_of(codes, factors)), whole)
    # What is further off is another row.
    codes += (0.01 * rounded.standard_normal(codes.shape)).astype(dtype)
    assert len(np.unique(blocks(rows_of(codes, factors)))) == 600


def test_codes_of_few_values_with_rounding_are_no_rows_that_stand_twice() -> None:
    grid = np.indices((3, 6, 8)).reshape(3, -1).T.repeat(10, axis=0)
    rounding = 1e-7 * np.random.default_rng(0).standard_normal(grid.shape)
    rows = rows_of(grid + rounding, grid)
    assert blocks(rows).tolist() == list(range(len(grid)))


def test_equal_codes_of_other_factors_are_other_rows() -> None:
    codes, factors = noise(100, 2)
    factors = np.random.default_rng(5).integers(0, 1000, factors.shape)
    assert len(np.unique(blocks(rows_of(codes, factors)))) == 200


def pairs(rows: Rows, index: np.ndarray) -> np.ndarray:
    """How often each different row of the file stands among these."""
    return np.bincount(blocks(rows)[index], minlength=int(blocks(rows).max()) + 1)


def test_equal_rows_are_permuted_drawn_and_left_out_together() -> None:
    codes, factors = noise(150, 2)
    codes = np.concatenate([codes, codes[:20]])  # Some three times.
    factors = np.concatenate([factors, factors[:20]])
    rows = rows_of(codes, factors)
    block = blocks(rows)
    sizes = np.bincount(block)
    for index in permutations(rows, 5):
        given = block[index]
        assert all(len(set(given[block == one])) == 1 for one in range(150))
        # Each different row's factors go to exactly one other.
        assert sorted(given[np.unique(block, return_index=True)[1]]) == list(range(150))
    for index in subsamples(rows, 5):
        drawn = pairs(rows, index)
        assert set(drawn[drawn > 0] - sizes[drawn > 0]) == {0} and (drawn > 0).sum() == 100
    for part in without_groups(rows):
        left = {one.tobytes() for one in part.codes}
        stay = np.array([one.tobytes() in left for one in rows.codes])
        assert len(part) == stay.sum() and part.train == stay[: rows.train].sum()


def test_without_repeats_permutations_and_groups_are_those_of_rows() -> None:
    rows = rows_of(*noise(40))
    for index in [*permutations(rows, 3), *subsamples(rows, 3)]:
        assert len(np.unique(index)) == len(index)
    together = np.concatenate([part.codes for part in without_groups(rows)])
    # Each row is left out once of four times.
    assert len(together) == 3 * 40 and len(np.unique(together, axis=0)) == 40
    assert [part.train for part in without_groups(rows)] == [22, 22, 23, 23]
