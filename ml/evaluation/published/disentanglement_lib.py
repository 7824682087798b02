"""disentanglement_lib, the code of the study of Locatello et al.

Its settings are those of the study: 20 bins, discrete factors, the first rows for training.
Wherever it gives a number, the number is ours, with three exceptions: modularity, explicitness, and
SAP with the linear SVM. The last two are run here as it runs them, as their solvers stop before
they reach the minimum.
"""

from __future__ import annotations

import warnings

import numpy as np

from ml.codes.rows import Rows
from ml.evaluation.published._formula import Codebase, Outcome, different, formula, no_number, ours
from ml.evaluation.published._rows import (
    COUNTS_CONSTANT,
    codes_listed,
    constant_factors,
    continuous_factors,
)
from ml.metrics.information.modularity import modularity
from ml.metrics.information.mutual_information import equal_width_bins, factor_classes, information
from ml.metrics.prediction.sap import sap
from ml.metrics.predictors.importance import SEEDS
from ml.metrics.predictors.ranking import areas_under_curves
from ml.metrics.protocol import Score

DLIB = Codebase("dlib", "google-research/disentanglement_lib", "86a644d4")
FOLDER = "disentanglement_lib/evaluation/metrics/"
N_BINS = 20


def modularity_of_training_rows(rows: Rows) -> float:
    """Mean over codes, on the training rows only, as in its entry point; a dead code counts 0."""
    train = rows.only(slice(0, rows.train))
    codes = equal_width_bins(train.codes, N_BINS)
    known = information(codes, factor_classes(train, N_BINS, all_factors=False, scaled=False))
    return float(modularity(known.mutual).mean())


@formula(DLIB, "mig", source=FOLDER + "mig.py", bins=N_BINS)
def _mig(rows: Rows, score: Score) -> Outcome | None:
    if continuous_factors(rows):
        return None
    if rows.codes.shape[1] == 1:
        return no_number("raises IndexError", "there is no second code to compare with")
    if collapsed := _too_narrow(rows):
        return collapsed
    if constant := constant_factors(rows):
        return no_number("nan", f"it divides by the entropy of {constant}, which is zero")
    return ours(score)


def _too_narrow(rows: Rows) -> Outcome | None:
    """The outcome if numpy's histogram, which cuts the codes, refuses one that hardly varies."""

    def refused(code: np.ndarray) -> bool:
        try:
            np.histogram(code, N_BINS)
        except ValueError:
            return True
        return False

    if narrow := codes_listed(np.array([refused(code) for code in rows.codes.T])):
        why = f"{narrow} varies in the last places only, and numpy cuts no {N_BINS} bins there"
        return no_number("raises ValueError", why)
    return None


@formula(DLIB, "modularity", source=FOLDER + "modularity_explicitness.py", bins=N_BINS)
def _modularity(rows: Rows, score: Score) -> Outcome | None:  # noqa: ARG001
    if continuous_factors(rows) or rows.factors.shape[1] < 2:
        return None
    if collapsed := _too_narrow(rows.only(slice(0, rows.train))):
        return collapsed
    reasons = [different(f"it takes the {rows.train} training rows only, ours takes all rows")]
    if constant_factors(rows):
        reasons.append(COUNTS_CONSTANT)
    return Outcome(modularity_of_training_rows(rows), reasons)


@formula(
    DLIB,
    "explicitness",
    "explicitness_train",
    "explicitness_test",
    source=FOLDER + "modularity_explicitness.py",
    variant="multinomial",
)
def _explicitness(rows: Rows, score: Score) -> Outcome | None:
    if continuous_factors(rows):
        return None
    if constant := constant_factors(rows):
        return no_number("raises ValueError", f"{constant} has a single class")
    if dead := codes_listed(rows.codes[: rows.train].std(0) == 0):
        return no_number(
            "raises ValueError",
            f"it divides {dead} by its standard deviation on the training rows, which is zero",
        )
    train, test = rows.factors[: rows.train], rows.factors[rows.train :]
    for name, fitted, tested in zip(rows.factor_names, train.T, test.T, strict=True):
        if len(np.unique(fitted)) != len(np.unique(tested)):
            why = f"training and test rows have unequal numbers of classes of {name}"
            return no_number("raises ValueError", why)
        if set(fitted) != set(tested):
            # It would compare probabilities of some classes with labels of others.
            return None
    if score.value is None:
        return None
    of_train, of_test = explicitness_of_a_hundred_steps(rows)
    value = of_train if score.name == "explicitness_train" else of_test
    return Outcome(value, [UNFINISHED], close=BY_TOLERANCE)


UNFINISHED = different(
    "its solver is given 100 steps and codes in their own precision; ours goes on to the minimum,"
    " in float64"
)
BY_TOLERANCE = 1e-4
"""Largest difference between areas of the same minimum that comes from the solver's tolerance."""


def explicitness_of_a_hundred_steps(rows: Rows) -> tuple[float, float]:
    """Areas on training and test rows of scikit-learn's LogisticRegression, as called there.

    Training rows and test rows must have the same classes.
    """
    from sklearn.linear_model import LogisticRegression

    if "explicitness of a hundred steps" not in rows.shared:
        train = rows.codes[: rows.train]
        codes = (rows.codes - train.mean(0)) / train.std(0)
        found = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for factor in rows.factors.T:
                rows.continue_or_stop()
                classes = np.unique(factor, return_inverse=True)[1]
                model = LogisticRegression().fit(codes[: rows.train], classes[: rows.train])
                chances = model.predict_proba(codes)
                parts = slice(rows.train), slice(rows.train, None)
                found.append([areas_under_curves(chances[i], classes[i]).mean() for i in parts])
        of_train, of_test = np.mean(found, axis=0)
        rows.shared["explicitness of a hundred steps"] = float(of_train), float(of_test)
    both: tuple[float, float] = rows.shared["explicitness of a hundred steps"]
    return both


@formula(DLIB, "sap", source=FOLDER + "sap_score.py", predictor="linear_svm")
def _sap(rows: Rows, score: Score) -> Outcome | None:
    if continuous_factors(rows):
        return None
    if constant := constant_factors(rows):
        return no_number("raises ValueError", f"{constant} has a single class")
    if rows.codes.shape[1] == 1 or score.value is None:
        return _if_two_codes(rows, score)
    return Outcome(sap_by_liblinear(rows), [UNSOLVED])


UNSOLVED = different(
    "LIBLINEAR stops short of the minimum that ours is at, the further the larger the codes are;"
    " with scikit-learn before 1.5 it draws the order of its steps at random, too"
)


def sap_by_liblinear(rows: Rows) -> float:
    """The mean gap of held-out accuracies of scikit-learn's LinearSVC, as called there."""
    from sklearn.svm import LinearSVC

    train = rows.train
    scores = np.empty((rows.codes.shape[1], rows.factors.shape[1]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for d, code in enumerate(rows.codes.T):
            for k, factor in enumerate(rows.factors.T):
                rows.continue_or_stop()
                # Only solvers of the dual problem use the seed, and LinearSVC chooses none here.
                model = LinearSVC(C=0.01, class_weight="balanced", random_state=rows.seed % SEEDS)
                model.fit(code[:train, None], factor[:train])
                scores[d, k] = (model.predict(code[train:, None]) == factor[train:]).mean()
    return float(sap(scores).mean())


@formula(DLIB, "sap", source=FOLDER + "sap_score.py", predictor="correlation")
def _sap_of_continuous_factors(rows: Rows, score: Score) -> Outcome | None:
    if constant := constant_factors(rows):
        return no_number("nan", f"it divides by the variance of {constant}, which is zero")
    return _if_two_codes(rows, score)


def _if_two_codes(rows: Rows, score: Score) -> Outcome | None:
    if rows.codes.shape[1] == 1:
        return no_number("raises IndexError", "there is no second code to compare with")
    return ours(score)


@formula(
    DLIB,
    "dci",
    "disentanglement",
    "completeness",
    "informativeness_train",
    "informativeness_test",
    source=FOLDER + "dci.py",
    predictor="gradient_boosting",
)
def _dci(rows: Rows, score: Score) -> Outcome | None:
    if continuous_factors(rows):
        return None
    if constant := constant_factors(rows):
        return no_number("raises ValueError", f"{constant} has a single class")
    for name, axis, what in (("disentanglement", 1, "factor"), ("completeness", 0, "code")):
        columns = rows.factors.shape[1] if axis else rows.codes.shape[1]
        if score.name == name and columns == 1:
            return no_number("nan", f"it takes an entropy to base 1, as there is a single {what}")
    return ours(score)
