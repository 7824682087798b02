"""The number of rows at which an interval would halve."""

import numpy as np
import pytest

from ml import dataset, score
from ml.codes.checked_rows import rows_of
from ml.evaluation.encode import EncodedRows
from ml.evaluation.evaluate import score_encoded
from ml.evaluation.rows_to_halve import rows_to_halve
from ml.metrics.information.mig import MIG
from ml.metrics.prediction.sap import SAP
from ml.spec.parts import Evaluation

FACTORS = np.random.default_rng(0).integers(0, 4, (300, 2))
CODES = FACTORS + np.random.default_rng(1).uniform(size=FACTORS.shape)


def test_an_interval_halves_at_four_times_the_rows_unless_a_part_lasts() -> None:
    assert rows_to_halve(250, 0.1).rows == 1000
    # 0.1² = 0.08² + 0.06² and 0.05² < 0.06²: no number of rows will do.
    found = rows_to_halve(250, 0.1, lasting=0.06)
    assert found.rows is None and found.missing is not None and "draws" in found.missing
    # 0.1² - 0.03² is 0.0091, and 0.05² - 0.03² is 0.0016: 5.6875 times the rows.
    assert rows_to_halve(1600, 0.1, lasting=0.03).rows == 9100


def test_a_data_set_bounds_the_rows() -> None:
    assert rows_to_halve(250, 0.1, available=1000).rows == 1000
    found = rows_to_halve(250, 0.1, available=999)
    assert found == (None, "it would take 1,000 rows, and the data set has 999 images")
    for options, told in (
        ({"half_width": 0.0}, "no width"),
        ({"half_width": None}, "no interval"),
        ({"half_width": 0.1, "population": True}, "no sampling error"),
    ):
        found = rows_to_halve(250, **options)  # type: ignore[arg-type]
        assert found.rows is None and found.missing is not None and told in found.missing


def test_a_score_says_it() -> None:
    metric = {"name": "sap", "predictor": "correlation"}
    (found,) = score(CODES, FACTORS, [metric])
    assert (found.rows_to_halve, found.rows_to_halve_missing) == (1200, None)
    (bare,) = score(CODES, FACTORS, [metric], uncertainty=False)
    assert (bare.rows_to_halve, bare.rows_to_halve_missing) == (None, "the score has no interval")


def test_extremes_that_decide_the_bins_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ml.metrics.information.information_metric.MOST_REPLICATES", 50)
    monkeypatch.setattr("ml.metrics.information.information_metric.REDRAWN_ENDS", 50)
    heavy = FACTORS + 0.3 * np.random.default_rng(1).standard_t(1.5, size=FACTORS.shape)
    for codes, lasts in ((CODES, False), (heavy, True)):
        rows = rows_of(codes, FACTORS)
        lasting = MIG().lasting_half_widths(rows)["mig"]
        found = rows_to_halve(300, MIG().half_widths(rows)["mig"], lasting=lasting)
        assert found.rows == (None if lasts else 1200)
        assert ("extremes" in (found.missing or "")) is lasts


def test_more_rows_lessen_the_error_of_samples_until_these_are_the_most() -> None:
    log_variance = np.full(CODES.shape, -1.0)

    def halved(metric: str, samples: int) -> set[int | None]:
        asked = {"name": metric, "samples": samples}
        found = score(CODES, FACTORS, asked, posterior_logvar=log_variance)
        return {one.rows_to_halve for one in found if one.name != "analytic_kl"}

    assert halved("mig_posterior", 1200) == halved("elbo_decomposition", 1200) == {1200}
    assert halved("mig_posterior", 1199) == {None}
    assert None in halved("elbo_decomposition", 300)


def test_more_rows_do_not_lessen_what_ten_rows_of_a_fit_decide() -> None:
    # A binary code that is wrong in a fifth of the rows. Ten rows may teach it or not, and all fits
    # of a hundred predict alike, so that the test rows alone decide how many are right.
    draws = np.random.default_rng(0)
    factor = draws.permutation(np.arange(300) % 2)[:, None]
    code = np.where(draws.random((300, 1)) < 0.2, 1 - factor, factor) + 0.0
    asked = {"name": "downstream", "predictor": "logistic_regression", "sizes": [10, 100]}
    ten, hundred = score(code, factor, asked)
    assert ten.rows_to_halve is None
    assert (
        ten.rows_to_halve_missing is not None and "rows that it fits" in ten.rows_to_halve_missing
    )
    assert hundred.rows_to_halve == 1200


def test_the_images_of_a_data_set_are_its_rows() -> None:
    data = dataset("digits")
    index = np.arange(1500)
    z = np.random.default_rng(0).uniform(size=(1500, 2)).astype(np.float32)
    flat = np.zeros_like(z)
    encoded = EncodedRows(
        index,
        data.factors(index),
        z,
        flat,
        z,
        flat,
        z[:, 0],
        np.array(1000),  # type: ignore[arg-type]
    )
    (found,) = score_encoded(encoded, Evaluation(metrics=[SAP(predictor="correlation")]), data)
    assert found.rows_to_halve is None
    told = f"it would take 6,000 rows, and the data set has {len(data):,} images"
    assert found.rows_to_halve_missing == told


@pytest.mark.parametrize("predictor", ["correlation", "linear_regression"])
def test_intervals_are_half_as_wide_at_four_times_the_rows(predictor: str) -> None:
    """Of several draws, as single intervals vary."""
    widths = {}
    for size in (250, 1000):
        found = []
        for seed in range(20):
            draws = np.random.default_rng(seed)
            factors = draws.integers(0, 4, (size, 2))
            codes = factors @ [[1, 0.5, 0], [0, 0.5, 1]] + draws.normal(size=(size, 3))
            rows = rows_of(codes, factors, seed=seed)
            found.append(SAP.model_validate({"predictor": predictor}).half_widths(rows)["sap"])
        widths[size] = np.sqrt(np.mean(np.square(found)))
    assert widths[1000] / widths[250] == pytest.approx(0.5, abs=0.1)
