"""Predicting a factor where another has values that no training row has."""

import numpy as np
import pytest

from ml import score
from ml.metrics.protocol import Score, UnusableRows


def strong_of(codes: np.ndarray, factors: np.ndarray, **params: object) -> dict[str, Score]:
    metric = {"name": "strong_generalisation", **params}
    found = score(codes, factors, [metric], uncertainty=False)
    return {one.name: one for one in found}


def drawn(samples: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 3, (samples, 2))


@pytest.mark.parametrize("predictor", ["gradient_boosting", "logistic_regression"])
def test_disentangled_codes_lose_nothing_and_sums_lose_much(predictor: str) -> None:
    factors = drawn(400)
    alone = strong_of(np.eye(3)[factors].reshape(400, 6), factors, predictor=predictor)
    assert [alone[name].value for name in ("accuracy_shifted", "accuracy_iid", "gap")] == [1, 1, 0]
    # With one frozen, a sum tells the other exactly; with any other value it is taken for another.
    summed = strong_of(factors.sum(1, keepdims=True) + 0.0, factors, predictor=predictor, repeats=2)
    shifted, iid = summed["accuracy_shifted"].value, summed["accuracy_iid"].value
    assert shifted is not None and iid is not None and shifted < 0.45 < iid
    assert summed["gap"].value == pytest.approx(1 - shifted / iid)


def test_the_scale_of_a_code_is_not_that_of_its_noise_where_its_factor_is_frozen() -> None:
    draws = np.random.default_rng(0)
    factors = np.stack([draws.integers(0, size, 600) for size in (4, 5)], axis=1)
    codes = factors + 0.05 * draws.normal(size=factors.shape)
    found = strong_of(codes, factors, predictor="logistic_regression")
    assert found["accuracy_shifted"].value == pytest.approx(1.0, abs=0.01)


def test_a_case_worked_by_hand() -> None:
    # The code is the first factor where the second is 0, and its opposite where that is 1.
    factors = np.tile(np.indices((2, 2)).reshape(2, -1).T, (40, 1))
    code = factors[:, :1] ^ factors[:, 1:]
    found = strong_of(code + 0.0, factors)
    # Whichever value is frozen, all others are predicted wrong: of both targets, as they are alike.
    assert found["accuracy_shifted"].value == 0.0
    assert found["accuracy_shifted"].details["targets_by_frozen"] == [[None, 0.0], [0.0, None]]
    assert found["gap"].value == 1.0 or found["gap"].error is not None


def test_a_single_factor_has_no_other_to_freeze() -> None:
    for one in strong_of(drawn(40) + 0.0, drawn(40)[:, :1]).values():
        assert one.value is None and "needs at least two, got one" in str(one.error)


def test_a_factor_that_no_test_row_varies_cannot_be_frozen() -> None:
    factors = np.array([[0, 0], [1, 0], [0, 0], [1, 0], [0, 0], [1, 1], [0, 0], [1, 0]])
    factors[[1, 5]] = factors[[5, 1]]
    # Value 1 can be frozen, as test rows have the other: its predictor knows a single class.
    found = strong_of(factors + 0.0, factors)
    assert found["accuracy_shifted"].value is not None
    # Value 0 alone is left where training rows have no other.
    with pytest.raises(UnusableRows, match="all rows have one value"):
        from ml.codes.checked_rows import rows_of
        from ml.metrics.prediction.strong_generalisation import _parts

        rows = rows_of(factors[[0, 2, 3, 6, 7]] + 0.0, factors[[0, 2, 3, 6, 7]])
        _parts(rows, 1, np.random.default_rng(0), np.random.default_rng(1))
