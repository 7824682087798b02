"""disentangling-correlated-factors (Meta), a rewrite of disentanglement_lib in torch.

Its SAP and its DCI are left out, as they draw their training rows at random.
"""

from __future__ import annotations

import numpy as np

from ml.codes.rows import Rows
from ml.evaluation.published._formula import Codebase, Outcome, formula, no_number, wrong
from ml.evaluation.published._modularity import unguarded_modularity, without_modularity
from ml.evaluation.published._rows import (
    COUNTS_CONSTANT,
    EDGES,
    binned_information,
    constant_factors,
    listed,
)
from ml.metrics.information.mig import gaps
from ml.metrics.information.mutual_information import equal_width_bins
from ml.metrics.protocol import Score

DCF = Codebase("dcf", "facebookresearch/disentangling-correlated-factors", "3b0d233a")
N_BINS = 20


def merged_factors(rows: Rows) -> str:
    """The names of the discrete factors with several values in one bin, as text."""
    binned = equal_width_bins(rows.factors, N_BINS, scaled=True)
    return listed(
        [
            name
            for column, name in enumerate(rows.factor_names)
            if rows.factor_kinds[column] == "discrete"
            and len(np.unique(binned[:, column])) < len(np.unique(rows.factors[:, column]))
        ]
    )


def _of_binned_factors(rows: Rows, value: float) -> Outcome:
    if merged := merged_factors(rows):
        why = f"it cuts factors into {N_BINS} bins, too, and so merges values of {merged}"
        return Outcome(value, [wrong(why)])
    return Outcome(value, [COUNTS_CONSTANT if constant_factors(rows) else EDGES])


@formula(DCF, "mig", source="dent/metrics/mig.py", bins=N_BINS)
def _mig(rows: Rows, score: Score) -> Outcome | None:  # noqa: ARG001
    if rows.codes.shape[1] == 1:
        return no_number("raises IndexError", "there is no second code to compare with")
    if constant := constant_factors(rows):
        return no_number("nan", f"it divides by the entropy of {constant}, which is zero")
    known = binned_information(rows, N_BINS, bin_factors=True)
    return _of_binned_factors(rows, float(gaps(known.mutual, known.factors).mean()))


@formula(DCF, "modularity", source="dent/metrics/modularity_d.py", bins=N_BINS)
def _modularity(rows: Rows, score: Score) -> Outcome | None:  # noqa: ARG001
    if rows.factors.shape[1] == 1:
        return None
    known = binned_information(rows, N_BINS, bin_factors=True)
    return without_modularity(known) or _of_binned_factors(rows, unguarded_modularity(known))
