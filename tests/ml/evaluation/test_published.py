"""What we say that public codebases print, beside what they printed."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from ml.codes.checked_rows import rows_of
from ml.codes.rows import Rows
from ml.evaluation.published._formula import Published, Verdict, _known, published
from ml.evaluation.published.disentanglement_lib import (
    explicitness_of_a_hundred_steps,
    modularity_of_training_rows,
)
from ml.evaluation.published.jboilard import dcimig_as_mean_of_ratios
from ml.evaluation.published.ubisoft import disentanglement_until_a_dead_code, mig_by_code_entropy
from ml.evaluation.score import metric_of, scores_of
from ml.metrics.information.mutual_information import Information
from ml.metrics.protocol import Score
from tests.ml.golden import PROBLEMS, WITHOUT_CONSTANT, arrays

#: Golden key: codebase, how it is called, our metric, and our number by theirs.
PRINTED: dict[str, tuple[str, str | None, dict[str, Any], dict[str, str]]] = {
    "dlib.mig": ("dlib", None, {"name": "mig"}, {"discrete_mig": "mig"}),
    "dlib.modularity_explicitness": (
        "dlib",
        None,
        {"name": "modularity"},
        {"modularity_score": "modularity"},
    ),
    "dlib.sap.continuous": (
        "dlib",
        None,
        {"name": "sap", "predictor": "correlation"},
        {"SAP_score": "sap"},
    ),
    "dcf.mig": ("dcf", None, {"name": "mig"}, {"mig": "mig"}),
    "dcf.modularity": ("dcf", None, {"name": "modularity"}, {"modularity": "modularity"}),
    "ubi.sap.regression": (
        "ubi",
        None,
        {"name": "sap", "predictor": "linear_regression"},
        {"sap": "sap"},
    ),
    "ubi.dci.lasso": (
        "ubi",
        None,
        {"name": "dci", "predictor": "lasso"},
        {name: name for name in ("disentanglement", "completeness", "informativeness")},
    ),
    **{
        f"ubi.{name}.{cut}": ("ubi", settings, {"name": name}, {name: name})
        for name in ("mig", "mig_sup", "jemmig", "dcimig", "modularity")
        for cut, settings in (("disc20", None), ("cont10", "10 bins"))
    },
}
CASES = [
    pytest.param(problem, key, id=f"{problem}-{key}")
    for problem in PROBLEMS
    for key, known in PROBLEMS[problem]["keys"].items()
    # What raised did so for another of its numbers.
    if key.removesuffix(WITHOUT_CONSTANT) in PRINTED and "error" not in known
]
#: With a constant factor: left to rounding, or a fit that we do not make.
UNTOLD = {"p08_constfactor": ("ubi.jemmig.disc20", "ubi.jemmig.cont10", "ubi.dci.lasso")}


def _score(rows: Rows, metric: dict[str, Any], number: str) -> Score:
    scores = scores_of(metric_of(metric), rows, codes="mean", uncertainty=False)
    return next(score for score in scores if score.name == number)


def _beside(rows: Rows, metric: dict[str, Any], number: str | None = None) -> dict[str, Published]:
    """What stands beside one of our scores, by codebase and settings."""
    found = published(rows, _score(rows, metric, number or metric["name"]))
    return {" ".join(filter(None, (one.codebase, one.settings))): one for one in found}


@pytest.mark.parametrize(("problem", "key"), CASES)
def test_what_is_printed_elsewhere(problem: str, key: str) -> None:
    codes, factors = arrays(problem)
    if WITHOUT_CONSTANT in key:
        factors = factors[:, factors.min(0) != factors.max(0)]
    rows = rows_of(codes, factors, train_rows=PROBLEMS[problem]["n_train"])
    codebase, settings, metric, numbers = PRINTED[key.removesuffix(WITHOUT_CONSTANT)]
    known = PROBLEMS[problem]["keys"][key]
    for theirs, ours in numbers.items():
        found = _beside(rows, metric, ours).get(" ".join(filter(None, (codebase, settings))))
        if key in UNTOLD.get(problem, ()):
            assert found is None
            continue
        assert found is not None
        value = known["scores"][theirs]["value"]
        if value == "nan":
            assert (found.value, found.instead) == (None, "nan")
        else:
            assert found.value == pytest.approx(value, abs=1e-4 if "lasso" in key else 1e-6)


def test_every_formula_stands_beside_a_number_that_we_have() -> None:
    assert {one.codebase.name for one in _known()} >= {"dlib", "ubi", "dcf", "jboilard"}
    for one in _known():
        metric = metric_of({"name": one.metric, **one.params})
        assert set(one.numbers) <= {number.name for number in metric.reported()}


@pytest.mark.parametrize("problem", sorted(PROBLEMS))
def test_a_number_is_ours_or_has_a_reason(problem: str) -> None:
    rows = rows_of(*arrays(problem))
    for name in ("mig", "mig_sup", "jemmig", "dcimig", "modularity"):
        score = _score(rows, {"name": name}, name)
        for one in published(rows, score):
            assert (one.value is None) == (one.instead is not None)
            assert (one.verdict is Verdict.SAME) == (not one.reasons)
            same = one.value is score.value is None or (
                one.value is not None
                and score.value is not None
                and math.isclose(one.value, score.value, rel_tol=1e-9, abs_tol=1e-9)
            )
            assert same == (one.verdict is Verdict.SAME)


def test_dividing_by_the_entropy_of_the_code_praises_a_code_of_two_levels() -> None:
    # Four equal values, a code that tells two pairs apart, and one that tells nothing.
    two, four = math.log(2), math.log(4)
    known = Information(np.array([[two], [0.0]]), np.array([two, two]), np.array([four]))
    assert mig_by_code_entropy(known) == pytest.approx(1.0)
    factors = np.tile(np.arange(4), 100)[:, None]
    codes = np.stack([factors[:, 0] // 2, np.repeat([0, 1], 200)], axis=1).astype(float)
    rows = rows_of(codes, factors)
    assert _score(rows, {"name": "mig"}, "mig").value == pytest.approx(0.5)
    found = _beside(rows, {"name": "mig"})["ubi"]
    assert found.value == pytest.approx(1.0)
    assert found.verdict is Verdict.WRONG
    assert "entropy of the code" in found.reasons[0].why


@pytest.mark.parametrize(
    ("order", "expected"), [((0, 1, 2, 3), 1.0), ((3, 0, 1, 2), 0.0), ((0, 3, 1, 2), 1.0)]
)
def test_lasso_stops_at_a_dead_code(order: tuple[int, ...], expected: float) -> None:
    # Code 3 is dead and the others are the factors: 1 and 0 are what was seen when it was run.
    factors = np.random.default_rng(0).random((400, 3))
    codes = np.column_stack([factors, np.zeros(400)])[:, order]
    rows = rows_of(codes, factors)
    metric = {"name": "dci", "predictor": "lasso"}
    assert _score(rows, metric, "disentanglement").value == pytest.approx(1.0)
    found = _beside(rows, metric, "disentanglement")["ubi"]
    assert found.value == pytest.approx(expected)
    assert found.verdict is (Verdict.WRONG if expected == 0 else Verdict.SAME)


def test_codes_before_a_dead_one_are_weighed_among_themselves() -> None:
    # The first code tells of one factor, the second of two alike, the fourth of one.
    importance = np.array([[3.0, 0.0], [0.5, 0.5], [0.0, 0.0], [0.0, 5.0]])
    assert disentanglement_until_a_dead_code(importance) == pytest.approx(3 / 4)
    assert disentanglement_until_a_dead_code(importance[[2, 0, 1, 3]]) == 0
    assert disentanglement_until_a_dead_code(importance[[0, 1, 3]]) == pytest.approx(8 / 9)


def test_a_dead_code_leaves_others_without_a_number() -> None:
    codes, factors = arrays("p09_tiny")
    codes = np.column_stack([codes, np.full(len(codes), 0.5, dtype=np.float32)])
    rows = rows_of(codes, factors)
    for name in ("mig", "mig_sup", "modularity"):
        for settings in ("ubi", "ubi 10 bins"):
            found = _beside(rows, {"name": name})[settings]
            assert (found.value, found.instead, found.verdict) == (None, "nan", Verdict.WRONG)
            assert "code 4" in found.reasons[0].why
    assert _beside(rows, {"name": "mig"})["dlib"].verdict is Verdict.SAME
    assert _beside(rows, {"name": "modularity"})["dcf"].instead == "nan"
    assert _beside(rows, {"name": "modularity"})["dlib"].value is not None
    for name in ("jemmig", "dcimig"):
        assert _beside(rows, {"name": name})["ubi"].verdict is Verdict.SAME
    found = _beside(rows, {"name": "explicitness"}, "explicitness_test")["dlib"]
    assert found.instead == "raises ValueError"
    assert "code 4" in found.reasons[0].why


def test_factors_of_many_values_are_merged() -> None:
    codes, factors = arrays("p05_warp_circular")  # 6, 9 and 40 values
    for name in ("mig", "modularity"):
        many = _beside(rows_of(codes, factors), {"name": name})["dcf"]
        assert many.verdict is Verdict.WRONG
        assert many.reasons[0].why.endswith("merges values of factor_2")
        few = _beside(rows_of(codes, factors[:, :2]), {"name": name})["dcf"]
        assert few.verdict is Verdict.SAME


def test_a_constant_factor_is_no_number_or_counted() -> None:
    codes, factors = arrays("p08_constfactor")
    rows = rows_of(codes, factors)
    for name in ("mig", "dcimig"):
        found = _beside(rows, {"name": name})["dlib" if name == "mig" else "jboilard"]
        # Ours has none either: the same, and no reason to tell.
        assert (found.instead, found.verdict, found.reasons) == ("nan", Verdict.SAME, [])
    whys = [one.why for one in _beside(rows, {"name": "dcimig"})["ubi"].reasons]
    assert "it counts the constant factor as one that no code tells of" in whys


def test_the_training_rows_alone_are_disentanglement_libs_modularity() -> None:
    codes, factors = arrays("p09_tiny")
    rows = rows_of(codes, factors, train_rows=100)
    first = rows_of(codes[:100], factors[:100])
    expected = _score(first, {"name": "modularity"}, "modularity").value
    assert modularity_of_training_rows(rows) == pytest.approx(expected)
    assert _beside(rows, {"name": "modularity"})["dlib"].value == pytest.approx(expected)


def test_ratios_of_sums_and_means_of_ratios_agree_on_equal_entropies() -> None:
    credited = np.array([0.3, 0.1, 0.2])
    assert dcimig_as_mean_of_ratios(credited, np.full(3, 2.0)) == pytest.approx(0.6 / 6)
    assert dcimig_as_mean_of_ratios(credited[:2], np.array([0.5, 1.0])) == pytest.approx(0.35)


def test_continuous_factors_are_not_given_to_code_for_classes() -> None:
    draws = np.random.default_rng(0)
    factors = draws.random((300, 2))
    rows = rows_of(factors + 0.1 * draws.standard_normal((300, 2)), factors)
    assert set(_beside(rows, {"name": "mig"})) == {"dcf", "ubi", "ubi 10 bins"}
    assert _beside(rows, {"name": "mig"})["dcf"].verdict is Verdict.SAME
    by_correlation = _beside(rows, {"name": "sap", "predictor": "correlation"}, "sap")
    assert by_correlation["dlib"].verdict is Verdict.SAME


def test_factors_of_both_kinds_are_all_cut() -> None:
    draws = np.random.default_rng(0)
    factors = np.column_stack([draws.integers(0, 30, 500), draws.random(500)])
    rows = rows_of(
        factors + 0.1 * draws.standard_normal((500, 2)),
        factors,
        factor_kinds=("discrete", "continuous"),
    )
    whys = [one.why for one in _beside(rows, {"name": "dcimig"})["ubi"].reasons]
    assert whys == ["it cuts all factors into bins if any is continuous"]


def test_a_single_code_has_no_second() -> None:
    codes, factors = arrays("p09_tiny")
    rows = rows_of(codes[:, :1], factors)
    for metric in ({"name": "mig"}, {"name": "sap", "predictor": "correlation"}):
        assert _beside(rows, metric)["dlib"].instead == "raises IndexError"
    for codebase in ("dcf", "ubi", "ubi 10 bins"):
        assert _beside(rows, {"name": "mig"})[codebase].instead == "raises IndexError"


def test_a_class_that_is_never_tested_ends_disentanglement_libs_explicitness() -> None:
    codes, factors = arrays("p09_tiny")
    order = np.argsort(factors[:, 0], kind="stable")
    rows = rows_of(codes[order], factors[order], train_rows=200)
    found = _beside(rows, {"name": "explicitness"}, "explicitness_train")["dlib"]
    assert found.instead == "raises ValueError"
    assert "factor_0" in found.reasons[0].why


def test_what_takes_minutes_is_our_score_and_not_computed_twice() -> None:
    codes, factors = arrays("p09_tiny")
    rows = rows_of(codes, factors)
    score = _score(rows, {"name": "dci", "predictor": "linear"}, "completeness")
    boosted = score.model_copy(
        update={"value": 0.125, "params": {"predictor": "gradient_boosting"}}
    )
    (found,) = published(rows, boosted)
    assert (found.codebase, found.value, found.verdict) == ("dlib", 0.125, Verdict.SAME)


def test_sap_is_what_liblinear_has_when_it_stops() -> None:
    draws = np.random.default_rng(0)
    factors = np.stack([draws.integers(0, size, 2000) for size in (3, 6, 10)], 1)
    codes = factors / (3, 6, 10) + 0.05 * draws.standard_normal((2000, 3))
    codes = np.c_[codes, draws.standard_normal((2000, 2))]
    small, large = (rows_of((scale * codes).astype(np.float32), factors) for scale in (1, 10_000))
    same = _beside(small, {"name": "sap"})["dlib"]
    assert same.verdict is Verdict.SAME and same.value is not None
    # As scikit-learn's LinearSVC(C=0.01, class_weight="balanced") gave them when it was run.
    assert same.value == pytest.approx(0.20133, abs=1e-5)
    other = _beside(large, {"name": "sap"})["dlib"]
    assert _score(large, {"name": "sap"}, "sap").value == pytest.approx(0.398, abs=1e-5)
    assert other.value == pytest.approx(0.37, abs=5e-3) and other.value != pytest.approx(0.398)
    assert other.verdict is Verdict.DIFFERENT and "LIBLINEAR" in other.reasons[0].why


def test_explicitness_is_what_a_hundred_steps_have() -> None:
    draws = np.random.default_rng(1)
    factors = np.stack([draws.integers(0, size, 400) for size in (3, 6, 20)], 1)
    mixed = factors / (3, 6, 20) @ draws.standard_normal((3, 100))
    codes = (mixed + 1e-4 * draws.standard_normal(mixed.shape)).astype(np.float32)
    few, many = rows_of(codes[:, :3], factors), rows_of(codes, factors)
    assert explicitness_of_a_hundred_steps(few) == pytest.approx(_areas(few), abs=1e-9)
    assert explicitness_of_a_hundred_steps(many) == pytest.approx(_areas(many), abs=1e-9)
    same = _beside(few, {"name": "explicitness"}, "explicitness_train")["dlib"]
    assert (same.value, same.verdict) == (pytest.approx(_areas(few)[0]), Verdict.SAME)
    other = _beside(many, {"name": "explicitness"}, "explicitness_test")["dlib"]
    assert (other.value, other.verdict) == (pytest.approx(_areas(many)[1]), Verdict.DIFFERENT)
    assert "100 steps" in other.reasons[0].why


def _areas(rows: Rows) -> tuple[float, float]:
    """What it prints, with scikit-learn's own area under a curve."""
    train, areas = rows.train, []
    codes = (rows.codes - rows.codes[:train].mean(0)) / rows.codes[:train].std(0)
    for factor in rows.factors.T:
        with warnings.catch_warnings(category=ConvergenceWarning, action="ignore"):
            told = LogisticRegression().fit(codes[:train], factor[:train]).predict_proba(codes)
        one_hot = factor[:, None] == np.unique(factor)
        parts = slice(train), slice(train, None)
        areas.append([roc_auc_score(one_hot[i], told[i]) for i in parts])
    of_train, of_test = np.mean(areas, axis=0)
    return float(of_train), float(of_test)
