"""What is clear of a null: codes that know nothing look so in 2.3 % of cases."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from ml.codes.checked_rows import rows_of
from ml.evaluation.score import metric_of, score
from ml.metrics.protocol import NullDistribution
from ml.metrics.significance import LEVEL, is_clear, not_clear, null_of


def false_alarms(draw: Any, replicates: int, *, higher_is_better: bool = True) -> float:
    """Share of 20,000 values that are clear of a null of values drawn alike."""
    draws = np.random.default_rng(0)
    values = draw(draws, (20_000, replicates + 1))
    return float(
        np.mean(
            [
                is_clear(one[0], null_of(one[1:]), higher_is_better=higher_is_better) is True
                for one in values
            ]
        )
    )


def normal(draws: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return 0.5 + 0.01 * draws.standard_normal(shape)


def lognormal(draws: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.exp(draws.standard_normal(shape))


def seldom(draws: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """A lasso's completeness: seldom 1, else 0."""
    return (draws.random(shape) < 0.05).astype(float)


@pytest.mark.parametrize("replicates", [3, 10, 50])
@pytest.mark.parametrize("higher_is_better", [True, False])
def test_normal_nulls_let_through_what_two_deviations_do(
    replicates: int, higher_is_better: bool
) -> None:
    share = false_alarms(normal, replicates, higher_is_better=higher_is_better)
    # The limits and Student's t together let through a little less.
    assert 0.012 < share < 0.027


@pytest.mark.parametrize("draw", [lognormal, seldom])
def test_fifty_permutations_hold_the_level_whatever_the_null_looks_like(draw: Any) -> None:
    assert false_alarms(draw, 50) < 0.027


def test_few_permutations_take_students_t() -> None:
    null = null_of(np.array([0.2, 0.3, 0.4]))
    reach = stats.t.isf(LEVEL, 2) * 0.1 * math.sqrt(4 / 3)
    assert not_clear(null) == pytest.approx((0.3 - reach, 0.3 + reach))
    assert reach == pytest.approx(0.5227, abs=1e-4)
    assert is_clear(0.82, null, higher_is_better=True) is False
    assert is_clear(0.83, null, higher_is_better=True) is True
    assert is_clear(-0.22, null, higher_is_better=False) is False
    assert is_clear(-0.23, null, higher_is_better=False) is True
    assert null.limits is None


def test_limits_are_passed_by_no_more_than_the_level() -> None:
    values = np.random.default_rng(0).permutation(1000.0 + np.arange(1000))
    # One more value is above the 979th of a thousand in 22 of 1,001 cases.
    assert null_of(values).limits == (1021.0, 1978.0)
    assert null_of(values[:42]).limits is None
    assert null_of(values[:43]).limits == (values[:43].min(), values[:43].max())


def test_what_no_permutation_tells_is_left_open() -> None:
    alike = null_of(np.full(3, 0.4))
    assert is_clear(0.5, alike, higher_is_better=True) is None
    assert is_clear(0.4, alike, higher_is_better=True) is False
    assert is_clear(0.3, alike, higher_is_better=True) is False
    many = null_of(np.full(43, 1 / 3))
    assert is_clear(0.5, many, higher_is_better=True) is True
    # Equal but for rounding.
    assert is_clear(1 / 3 + 1e-15, many, higher_is_better=True) is False
    single = null_of(np.array([0.2]))
    assert single.std == 0 and not_clear(single) is None
    assert is_clear(0.9, single, higher_is_better=True) is None


def test_nulls_from_before_limits_were_kept_are_read() -> None:
    null = NullDistribution.model_validate({"mean": 0.1, "std": 0.01, "replicates": 1000})
    assert not_clear(null) == pytest.approx((0.07996, 0.12004), abs=1e-5)


@pytest.mark.parametrize(
    ("metric", "rows", "replicates"),
    [
        ({"name": "sap"}, 400, 50),
        ({"name": "sap", "predictor": "correlation"}, 400, 50),
        ({"name": "dci", "predictor": "linear"}, 400, 50),
        ({"name": "dci", "predictor": "lasso"}, 400, 50),
        ({"name": "dci", "predictor": "logistic_regression"}, 400, 50),
        ({"name": "explicitness"}, 400, 50),
        # Trees take long.
        ({"name": "dci", "predictor": "gradient_boosting"}, 400, 3),
        ({"name": "dci", "predictor": "random_forest"}, 400, 3),
        ({"name": "sap", "predictor": "decision_tree"}, 400, 3),
        # So does everything where there are many rows.
        ({"name": "explicitness", "variant": "one_vs_rest"}, 40_000, 4),
    ],
)
def test_quick_fits_have_many_permutations(
    metric: dict[str, Any], rows: int, replicates: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = metric_of(metric)
    draws = np.random.default_rng(0)
    given = rows_of(draws.normal(size=(rows, 10)), draws.integers(0, 12, (rows, 5)))
    found: list[int] = []
    monkeypatch.setattr(
        "ml.metrics.protocol.null_draws", lambda _compute, _rows, number: found.append(number)
    )
    asked.null(given)
    assert found == [replicates]


def test_noise_is_clear_of_its_null_by_chance_alone() -> None:
    draws = np.random.default_rng(0)
    clear = []
    for seed in range(100):
        factors = draws.integers(0, 4, (120, 2))
        for one in score(
            draws.normal(size=(120, 3)), factors, [{"name": "sap", "predictor": "correlation"}],
            seed=seed,
        ):  # fmt: skip
            assert one.value is not None and one.null is not None
            clear.append(is_clear(one.value, one.null, higher_is_better=True))
    # Two standard errors of a share of 100; by three permutations and two deviations it was 13.
    assert 0 <= sum(map(bool, clear)) <= 5
