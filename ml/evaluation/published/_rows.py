"""Facts about rows that the formulas of several codebases need."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from ml.codes.rows import Rows
from ml.evaluation.published._formula import different
from ml.metrics.information.mutual_information import (
    Information,
    equal_width_bins,
    factor_classes,
    information,
)

COUNTS_CONSTANT = different("it counts the constant factor as one that no code tells of")
EDGES = different("it stretches columns onto [0, 1] first: values on a bin's edge change sides")
"""The reason for a difference of a binned metric that has no other."""


def binned_information(rows: Rows, n_bins: int, *, bin_factors: bool) -> Information:
    """Mutual information of binned codes and factors. `bin_factors` puts factors into bins, too.

    Columns are scaled to [0, 1] before they are cut into bins. The result is kept in `rows.shared`.
    """
    key = ("published information", n_bins, bin_factors)
    if key not in rows.shared:
        codes = equal_width_bins(rows.codes, n_bins, scaled=True)
        factors = factor_classes(rows, n_bins, all_factors=bin_factors, scaled=True)
        rows.shared[key] = information(codes, factors)
    found: Information = rows.shared[key]
    return found


def continuous_factors(rows: Rows) -> bool:
    """Whether any factor is continuous."""
    return "continuous" in rows.factor_kinds


def constant_factors(rows: Rows) -> str:
    """The names of the factors with a single value as text; empty if there are none."""
    same = rows.factors.max(0) == rows.factors.min(0)
    return listed([rows.factor_names[column] for column in np.flatnonzero(same)])


def codes_listed(which: Bool[np.ndarray, "latents"]) -> str:
    """The numbers of the codes where `which` is true as text: `code 0`, `codes 0 and 3`."""
    places = [str(column) for column in np.flatnonzero(which)]
    if not places:
        return ""
    return f"{'code' if len(places) == 1 else 'codes'} {listed(places)}"


def listed(names: Sequence[str]) -> str:
    """A list as text: `scale`, `scale and shape`, `0, 1 and 3`, or `0, 1 and 2 more`."""
    if len(names) > 3:
        return f"{names[0]}, {names[1]} and {len(names) - 2} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
