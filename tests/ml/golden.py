"""What published implementations give on the arrays of `tests/golden`, and which of ours it is.

`scores.json` holds every number, by problem and key; `README.md` beside it says whose they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent.parent / "golden"
PROBLEMS: dict[str, Any] = json.loads((FOLDER / "scores.json").read_text())
WITHOUT_CONSTANT = ".dropconst"


@dataclass(frozen=True)
class Ours:
    """How to ask for the number that a key stands for."""

    metric: Mapping[str, Any]
    #: Their name of a number: ours.
    names: Mapping[str, str]
    #: How far ours may be from theirs.
    tolerance: float = 1e-6
    #: Cast codes first.
    dtype: type | None = None
    #: It needs the posteriors.
    posterior: bool = False
    #: It compares codes with factors.
    needs_factors: bool = True


@dataclass(frozen=True)
class Case:
    """One metric of one published implementation on one problem."""

    problem: str
    key: str
    ours: Ours

    def __str__(self) -> str:
        return f"{self.problem}-{self.key}"

    @property
    def published(self) -> dict[str, Any]:
        found: dict[str, Any] = PROBLEMS[self.problem]["keys"][self.key]
        return found

    @property
    def train_rows(self) -> int:
        params = self.published["params"]
        # Of an interventional metric it is the number of points that a classifier is fitted on.
        rows = params["num_train"] if "num_test" in params else PROBLEMS[self.problem]["n_train"]
        return int(rows)

    @property
    def constant_factor(self) -> bool:
        """Whether the metric needs factors, and is given one that takes a single value."""
        constant = 1 in PROBLEMS[self.problem]["factor_sizes"] and WITHOUT_CONSTANT not in self.key
        return constant and self.ours.needs_factors

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        codes, factors = arrays(self.problem)
        if WITHOUT_CONSTANT in self.key:
            factors = factors[:, factors.min(0) != factors.max(0)]
        if self.ours.dtype is not None:
            codes = codes.astype(self.ours.dtype)
        params = self.published["params"]
        if "num_train" in params and "num_test" in params:
            rows = params["num_train"] + params["num_test"]
            codes, factors = codes[:rows], factors[:rows]
        return codes, factors

    def posterior(self) -> dict[str, np.ndarray]:
        """The posteriors of a problem that has them, as arguments of `score`."""
        with np.load(FOLDER / f"{self.problem}.npz") as stored:
            return {
                name: stored[name]
                for name in ("posterior_logvar", "posterior_sample")
                if name in stored and self.ours.posterior
            }


def _ours() -> dict[str, Ours]:
    dci = {name: name for name in ("disentanglement", "completeness", "informativeness")}
    accuracies = {
        f"informativeness_{part}": f"informativeness_{part}" for part in ("train", "test")
    }
    mig = {"name": "mig", "bins": 20}
    found = {
        "dlib.mig": Ours(mig, {"discrete_mig": "mig"}),
        "dlib.mig.float64codes": Ours(mig, {"discrete_mig": "mig"}, dtype=np.float64),
        "dcf.mig": Ours({**mig, "factor_bins": 20}, {"mig": "mig"}),
        "dcf.modularity": Ours(
            {"name": "modularity", "bins": 20, "factor_bins": 20}, {"modularity": "modularity"}
        ),
        "dlib.modularity.allrows": Ours(
            {"name": "modularity", "bins": 20}, {"modularity_score": "modularity"}
        ),
        "dlib.sap.discrete": Ours(
            {"name": "sap", "predictor": "linear_svm"}, {"SAP_score": "sap"}, 2e-3
        ),
        "dlib.sap.discrete.dual": Ours(
            {"name": "sap", "predictor": "linear_svm"}, {"SAP_score": "sap"}, 5e-3
        ),
        "dlib.sap.continuous": Ours(
            {"name": "sap", "predictor": "correlation"}, {"SAP_score": "sap"}
        ),
        "ubi.sap.regression": Ours(
            {"name": "sap", "predictor": "linear_regression"}, {"sap": "sap"}
        ),
        "ubi.sap.classification": Ours(
            {"name": "sap", "predictor": "decision_tree"}, {"sap": "sap"}, 5e-3
        ),
        "dlib.dci_gbt": Ours(
            {"name": "dci", "predictor": "gradient_boosting"},
            {
                "disentanglement": "disentanglement",
                "completeness": "completeness",
                **accuracies,
            },
            4e-3,  # What seeds move: theirs draws from numpy's global stream.
        ),
        "ubi.dci.lasso": Ours({"name": "dci", "predictor": "lasso"}, dci, 1e-4),
        "ubi.dci.random_forest": Ours({"name": "dci", "predictor": "random_forest"}, dci, 0.03),
        "dlib.modularity_explicitness": Ours(
            {"name": "explicitness"},
            {f"explicitness_score_{part}": f"explicitness_{part}" for part in ("train", "test")},
            5e-4,
        ),
    }
    ten = {"bins": 10, "factor_bins": 10, "scaled": True}
    for cut, params in (("disc20", {"bins": 20}), ("cont10", ten)):
        by_code = {"name": "mig_sup", "normaliser": "code", **params}
        found[f"ubi.mig_sup.{cut}"] = Ours(by_code, {"mig_sup": "mig_sup"})
        for name in ("jemmig", "dcimig", "modularity"):
            found[f"ubi.{name}.{cut}"] = Ours({"name": name, **params}, {name: name})
        for number, variant in ((1, "one_vs_rest"), (2, "binary")):
            found[f"ubi.explicitness.{cut}.impl{number}"] = Ours(
                {
                    "name": "explicitness",
                    "variant": variant,
                    **({"factor_bins": 10} if cut == "cont10" else {}),
                },
                {"explicitness": "explicitness"},
                5e-4,
            )
    return found


def _of_intervention() -> dict[str, Ours]:
    # Theirs sums in float32.
    irs = {
        "dlib.irs": Ours({"name": "irs"}, {"IRS": "irs"}, 2e-6),
        "dlib.irs.q1": Ours({"name": "irs", "quantile": 1.0}, {"IRS": "irs"}, 2e-6),
        "ubi.irs.disc20": Ours(
            {"name": "irs", "quantile": 1.0, "bins": None}, {"irs": "irs"}, 2e-6
        ),
        "ubi.irs.cont10": Ours(
            {"name": "irs", "quantile": 1.0, "bins": 10, "scaled": True}, {"irs": "irs"}, 2e-6
        ),
    }
    ours = {
        "z_diff": "beta_vae_score",
        "z_min_var": "factor_vae_score",
        "z_max_var": "z_max_variance",
    }
    found = {
        f"dlib.{theirs}": Ours(
            {"name": name},
            {"train_accuracy": f"{name}_train", "eval_accuracy": name},
            0.01,
        )
        for theirs, name in (("beta_vae", "beta_vae_score"), ("factor_vae", "factor_vae_score"))
    }
    for theirs, name in ours.items():
        points = (2000, 1000) if theirs == "z_diff" else (800, 800)
        params = {"batch": 200, "train_points": points[0], "test_points": points[1]}
        bins = 3 if theirs == "z_max_var" else 10
        metric = {"name": name, "rescaled": True, **params}
        found[f"ubi.{theirs}.disc"] = Ours(metric, {theirs: name}, 0.02)
        found[f"ubi.{theirs}.cont{bins}"] = Ours(
            {**metric, "factor_bins": bins, "scaled": True}, {theirs: name}, 0.02
        )
    return irs | found


def _of_posterior() -> dict[str, Ours]:
    mig = {"name": "mig_posterior"}
    return {
        "chen.mig.fixed_sample": Ours(mig, {"mig": "mig_posterior"}, 1e-4, posterior=True),
        # Theirs draws samples of its own. Ours takes those of the file, whose error is the same.
        "chen.mig": Ours(mig, {"mig": "mig_posterior"}, 5e-3, posterior=True),
        "chen.elbo_decomposition.fixed_sample": Ours(
            {"name": "elbo_decomposition"},
            {
                name: name
                for name in (
                    "mutual_information",
                    "total_correlation",
                    "dimension_wise_kl",
                    "analytic_kl",
                )
            },
            1e-3,
            posterior=True,
            needs_factors=False,
        ),
        "dlib.unsupervised": Ours(
            {"name": "unsupervised"},
            {
                "gaussian_total_correlation": "gaussian_total_correlation",
                "gaussian_wasserstein_correlation": "wasserstein_correlation",
                "gaussian_wasserstein_correlation_norm": "wasserstein_correlation_normalised",
                "mutual_info_score": "code_mutual_information",
            },
            needs_factors=False,
        ),
    }


def _of_identifiability() -> dict[str, Ours]:
    # Three deviations of the jitter on the lattice, over eight seeds of ours; theirs has three.
    mec = Ours({"name": "info_mec"}, {f"info{x}": f"info_{x}" for x in "mec"}, 3e-3)
    # Without infoe, for the problem with a constant factor alone.
    return {"infomec.infomec": mec, "infomec.infom_infoc_only": mec}


OURS = _ours() | _of_intervention() | _of_posterior() | _of_identifiability()
#: Keys that ours do not have, and why.
DECLINED = {
    f"ubi.mig.{cut}": "divides by the entropy of the code, so that two levels of a factor score 1"
    for cut in ("disc20", "cont10")
}
KEYS = sorted({key for problem in PROBLEMS.values() for key in problem["keys"]})
COVERED = [key for key in KEYS if key.removesuffix(WITHOUT_CONSTANT) in OURS]
CASES = [
    Case(problem, key, OURS[key.removesuffix(WITHOUT_CONSTANT)])
    for problem in PROBLEMS
    for key in PROBLEMS[problem]["keys"]
    if key in COVERED
]


@cache
def arrays(problem: str) -> tuple[np.ndarray, np.ndarray]:
    with np.load(FOLDER / f"{problem}.npz") as stored:
        return stored["codes"], stored["factors"]
