"""Subsamples are cut into classes in sorted columns; each as if it were a sample of its own."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from ml.codes.rows import FactorKind, Rows
from ml.metrics.information import information_metric
from ml.metrics.information.mutual_information import counted, information


def odd_columns(rows: int, draws: np.random.Generator) -> dict[str, np.ndarray]:
    """Columns that are hard to cut, each of its own dtype."""
    normal = draws.normal(size=(rows, 3))
    return {
        "normal": normal,
        "single precision, heavy tails": draws.standard_t(2, (rows, 3)).astype(np.float32),
        "few values": normal.round(0),
        "half precision": normal.astype(np.float16),
        "collapsed": (7.0 + 1e-7 * normal).astype(np.float32),
        "a wide range": normal * [1e307, 1.0, 1e-300],
        "wider than a float64": 1.7e308 * np.clip(normal, -1, 1),
        "a constant and a rare value": np.stack(
            [np.zeros(rows), np.r_[5.0, np.zeros(rows - 1)], normal[:, 0]], axis=1
        ),
        "integers": draws.integers(-5, 90, (rows, 3)),
        "large integers": 2**60 + draws.integers(0, 40, (rows, 3)),
        "bytes": draws.integers(0, 256, (rows, 3)).astype(np.uint8),
        "truths": draws.random((rows, 3)) < 0.1,
    }


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("factor_bins", [None, 4])
@pytest.mark.parametrize("rows", [7, 300])
def test_subsamples_are_cut_and_counted_as_rows_of_their_own(
    rows: int, factor_bins: int | None, scaled: bool
) -> None:
    draws = np.random.default_rng(rows)
    columns = odd_columns(rows, draws)
    binning = information_metric.Binning(6, factor_bins, scaled)
    several = [draws.permutation(rows)[: rows * 2 // 3] for _ in range(4)]
    kinds: list[tuple[FactorKind, ...]] = [
        ("discrete", "continuous", "discrete"),
        ("discrete",) * 3,
    ]
    names = list(columns)
    for k, kind in product(range(len(names)), kinds):
        codes, factors = columns[names[k]], columns[names[k - 1]] + 0  # Truths become integers.
        whole = Rows(codes, factors, ("a", "b", "c"), kind, rows)
        parts = information_metric._Parts(whole, binning)
        for index in several:
            quick = parts.classes(index)
            plain = information_metric._classes(whole.take(index, len(index)), binning)
            for ours, expected in zip(quick, plain, strict=True):
                np.testing.assert_array_equal(ours, expected, err_msg=f"{names[k]}, {names[k - 1]}")
            ours, expected = counted(*quick), information(*plain)
            for part in ("mutual", "codes", "factors"):
                assert getattr(ours, part).tobytes() == getattr(expected, part).tobytes()
