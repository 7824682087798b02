"""DRVI's scores, by hand and beside MIG."""

from __future__ import annotations

import numpy as np
import pytest

from ml import score
from ml.components.registry import find
from ml.metrics.information.information_metric import InformationMetric
from ml.metrics.information.mutual_information import Information
from tests.ml.golden import arrays

SIMILARITY = np.array([[0.9, 0.8, 0.0], [0.7, 0.1, 0.2], [0.0, 0.0, 0.6], [0.0, 0.1, 0.3]])


def test_three_summaries_by_hand() -> None:
    metric = find("metric", "drvi")()
    assert isinstance(metric, InformationMetric)
    entropies = np.array([2.0, 0.5, 1.0])
    found = metric.aggregates(Information(SIMILARITY * entropies, np.ones(4), entropies))
    # The largest first, 0.9, would leave 0.1 to the second process: 1.6 in all, and not 2.1.
    assert found["lms"][0] == pytest.approx((0.7 + 0.8 + 0.6) / 3)
    assert found["lms"][1]["latent_of_factor"].tolist() == [1, 0, 2]
    assert found["msas"][0] == pytest.approx((0.9 + 0.8 + 0.6) / 3)
    assert found["msas"][1]["latent_of_factor"].tolist() == [0, 0, 2]
    assert found["msgs"][0] == pytest.approx((0.2 + 0.7 + 0.3) / 3)


def test_a_latent_of_two_factors_matches_one_of_them() -> None:
    first, second = np.indices((2, 2)).reshape(2, -1)
    factors = np.tile(np.stack([first, second], axis=1), (10, 1))
    both = 2 * factors[:, [0]] + factors[:, [1]]
    found = {one.name: one for one in score(both, factors, "drvi")}
    assert {name: one.value for name, one in found.items()} == pytest.approx(
        {"lms": 0.5, "msas": 1.0, "msgs": 1.0}
    )
    for one in found.values():
        assert one.null is not None and one.null.replicates == 1000 and one.ci95 is not None
    assert sorted(found["lms"].details["latent_of_factor"]) == [-1, 0]


def test_the_gap_is_mig() -> None:
    codes, factors = arrays("p03_linmix")
    found = score(codes, factors, ["drvi", {"name": "mig", "bins": 10}], uncertainty=False)
    values = {one.name: one.value for one in found}
    assert values["msgs"] == pytest.approx(values["mig"], abs=1e-12)
