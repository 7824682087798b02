"""jboilard1994's fork of disentanglement_lib. They are an author of the review."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from ml.codes.rows import Rows
from ml.evaluation.published._formula import Codebase, Outcome, different, formula, no_number
from ml.evaluation.published._rows import constant_factors, continuous_factors
from ml.metrics.protocol import Score

JBOILARD = Codebase("jboilard", "jboilard1994/disentanglement_lib", "65ac158e")


def dcimig_as_mean_of_ratios(
    credited: Float[np.ndarray, "factors"], factor_entropies: Float[np.ndarray, "factors"]
) -> float:
    r"""DCIMIG with each factor's credited gap divided by its own entropy.

    .. math:: \frac{1}{K} \sum_k \frac{\mathrm{gap}_k}{H(v_k)}

    Gap and entropy are in the same unit. Our DCIMIG is the ratio of the sums.
    """
    return float((credited / factor_entropies).mean())


@formula(
    JBOILARD,
    "dcimig",
    source="disentanglement_lib/evaluation/benchmark/metrics/dcimig.py",
    bins=20,
)
def _dcimig(rows: Rows, score: Score) -> Outcome | None:
    if continuous_factors(rows):
        return None
    if rows.factors.shape[1] == 1:
        return no_number("raises IndexError", "there is no second factor to compare with")
    if constant := constant_factors(rows):
        return no_number("nan", f"it divides by the entropy of {constant}, which is zero")
    if score.value is None:
        return None
    value = dcimig_as_mean_of_ratios(
        np.array(score.details["credited"]), np.array(score.details["factor_entropies"])
    )
    why = "it takes the mean over factors of gap / entropy, ours the sum of gaps / sum of entropies"
    return Outcome(value, [different(why)])
