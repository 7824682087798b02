"""The code of the review by Carbonneau et al. (Ubisoft La Forge), also known as Zaidi et al.

Its information metrics are listed twice. To compare the formulas themselves, they are called with
the rows' own kind of factors and our number of bins (`continuous_factors=False, nb_bins=20` for
discrete factors). They are also called with their defaults, `continuous_factors=True, nb_bins=10`,
which the review used, and which cut factors into ten bins, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ml.codes.rows import Rows
from ml.evaluation.published._formula import (
    Codebase,
    Compute,
    Outcome,
    Reason,
    different,
    formula,
    no_number,
    ours,
    wrong,
)
from ml.evaluation.published._modularity import unguarded_modularity, without_modularity
from ml.evaluation.published._rows import (
    COUNTS_CONSTANT,
    EDGES,
    binned_information,
    codes_listed,
    constant_factors,
    continuous_factors,
)
from ml.metrics.disentanglement import disentanglement
from ml.metrics.information.dcimig import DCIMIG
from ml.metrics.information.gaps import best_and_second
from ml.metrics.information.jemmig import JEMMIG
from ml.metrics.information.mutual_information import Information
from ml.metrics.prediction.sap import squared_correlations
from ml.metrics.protocol import Score

UBI = Codebase("ubi", "Ubisoft-LaForge/ubisoft-laforge-DisentanglementMetrics", "05d5667c")
DEFAULT_BINS = 10
ONE_CODE = no_number("raises IndexError", "there is no second code to compare with")


def mig_by_code_entropy(known: Information) -> float:
    r"""Gaps between shares of the entropy of the **code**.

    .. math:: \frac{1}{K} \sum_k S_{(1)k} - S_{(2)k}, \qquad S_{dk} = I(z_d; v_k) / H(z_d)

    It is NaN if a code is constant.
    """
    best, second = best_and_second(_shares_of_code(known))
    return float((best - second).mean())


def mig_sup_by_code_entropy(known: Information) -> float:
    """Our `mig_sup` with `normaliser: code`, but NaN if a code is constant."""
    best, second = best_and_second(_shares_of_code(known).T)
    return float((best - second).mean())


def _shares_of_code(known: Information) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        shares: np.ndarray = known.mutual / known.codes[:, None]
    return shares


def disentanglement_until_a_dead_code(importance: Float[np.ndarray, "latents factors"]) -> float:
    """DCI's disentanglement over the codes before the first dead one.

    It is 0 if the first code is dead. The published loop ends by `break` at a dead code, where
    `continue` is meant.
    """
    dead = np.flatnonzero(importance.sum(1) == 0)
    return disentanglement(importance[: dead[0]] if dead.size else importance)


def sap_with_constant_factors(rows: Rows) -> float:
    """Mean gap of R². A constant factor's gap is 0, as every code predicts it perfectly."""
    varying = rows.factors.max(0) > rows.factors.min(0)
    best, second = best_and_second(squared_correlations(rows.codes, rows.factors[:, varying]))
    return float((best - second).sum() / len(varying))


class Definition(NamedTuple):
    """One of its information metrics."""

    value: Callable[[Information, int], float]
    """Computes the number from the mutual information and the number of bins."""
    needs_two: str
    """`codes` or `factors`: whichever it needs two of, to compare the best with the second."""
    unlike_ours: tuple[Reason, ...] = ()


DEFINITIONS = {
    "mig": Definition(
        lambda known, _: mig_by_code_entropy(known),
        "codes",
        (wrong("it divides mutual information by the entropy of the code, not of the factor"),),
    ),
    "mig_sup": Definition(
        lambda known, _: mig_sup_by_code_entropy(known),
        "factors",
        (different("it divides by the code's entropy, ours by the factor's as Li et al. do"),),
    ),
    "jemmig": Definition(lambda known, bins: JEMMIG(bins=bins).aggregate(known)[0], "codes"),
    "dcimig": Definition(lambda known, bins: DCIMIG(bins=bins).aggregate(known)[0], "factors"),
    "modularity": Definition(lambda known, _: unguarded_modularity(known), "factors"),
}


def _information_formula(name: str, *, defaults: bool) -> Compute:
    definition = DEFINITIONS[name]

    def compute(rows: Rows, score: Score) -> Outcome | None:
        if definition.needs_two == "factors" and rows.factors.shape[1] == 1:
            return None
        if definition.needs_two == "codes" and rows.codes.shape[1] == 1:
            return ONE_CODE
        bins = DEFAULT_BINS if defaults else int(score.params["bins"])
        bin_factors = defaults or continuous_factors(rows)
        known = binned_information(rows, bins, bin_factors=bin_factors)
        if name == "jemmig" and not known.factors.all():
            # For a constant factor, rounding decides which code is the best.
            return None
        if (missing := _no_value(name, known)) is not None:
            return missing
        reasons = [*definition.unlike_ours, *_of_rows(rows, defaults=defaults)]
        return Outcome(definition.value(known, bins), reasons or [EDGES])

    return compute


def _no_value(name: str, known: Information) -> Outcome | None:
    if name == "modularity":
        return without_modularity(known)
    if name not in ("mig", "mig_sup") or known.codes.all():
        return None
    dead = codes_listed(known.codes == 0)
    return no_number("nan", f"it divides by the entropy of {dead}, which is zero")


def _of_rows(rows: Rows, *, defaults: bool) -> Iterator[Reason]:
    if constant_factors(rows):
        yield COUNTS_CONSTANT
    if defaults:
        yield different(f"by default it cuts codes and factors into {DEFAULT_BINS} bins")
    elif continuous_factors(rows) and "discrete" in rows.factor_kinds:
        yield different("it cuts all factors into bins if any is continuous")


for _name in DEFINITIONS:
    for _settings in (None, f"{DEFAULT_BINS} bins"):
        formula(UBI, _name, source=f"{_name}.py", settings=_settings)(
            _information_formula(_name, defaults=_settings is not None)
        )


@formula(UBI, "sap", source="sap.py", predictor="linear_regression")
def _sap_by_regression(rows: Rows, score: Score) -> Outcome | None:
    if rows.codes.shape[1] == 1:
        return ONE_CODE
    if constant_factors(rows):
        return Outcome(sap_with_constant_factors(rows), [COUNTS_CONSTANT])
    return ours(score)


@formula(UBI, "sap", source="sap.py", predictor="decision_tree")
def _sap_by_classification(rows: Rows, score: Score) -> Outcome | None:
    return ONE_CODE if rows.codes.shape[1] == 1 else ours(score)


@formula(UBI, "explicitness", source="explicitness.py", variant="one_vs_rest")
def _explicitness(rows: Rows, score: Score) -> Outcome | None:
    if constant := constant_factors(rows):
        return no_number("nan", f"{constant} has a single class, and no area under a curve")
    return ours(score)


@formula(UBI, "dci", "completeness", "informativeness", source="dci.py", predictor="lasso")
@formula(UBI, "dci", "completeness", "informativeness", source="dci.py", predictor="random_forest")
def _dci(rows: Rows, score: Score) -> Outcome | None:  # noqa: ARG001
    return ours(score)


@formula(UBI, "dci", "disentanglement", source="dci.py", predictor="lasso")
@formula(UBI, "dci", "disentanglement", source="dci.py", predictor="random_forest")
def _disentanglement(rows: Rows, score: Score) -> Outcome | None:  # noqa: ARG001
    if score.value is None:
        return None
    importance = np.array(score.details["importance"])
    dead = codes_listed(importance.sum(1) == 0)
    why = f"no importance falls to {dead}, and it leaves out the first such code and all after it"
    return Outcome(disentanglement_until_a_dead_code(importance), [wrong(why)])
