"""`heddle audit FILE`: our scores beside those of others, and why those are what they are."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from heddle.cli import main as cli
from heddle.cli.output.audit import audit_table
from ml.codes.checked_rows import rows_of
from ml.codes.rows import Rows
from ml.evaluation.audit import audit, metrics_of
from ml.evaluation.score import score
from ml.recorder import Progress, Silent, Stopped, Wish
from tests.ml.golden import FOLDER, PROBLEMS, arrays

FILE = FOLDER / "p09_tiny.npz"
PRINTED = PROBLEMS["p09_tiny"]["keys"]


def heddle(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli.main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    result = heddle("audit", FILE, "--quick", "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.fixture(scope="module")
def with_a_dead_code(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Codes of which the first is dead, and a factor of more values than bins."""
    draws = np.random.default_rng(0)
    factors = np.stack([draws.integers(0, 4, 300), draws.integers(0, 25, 300)], axis=1)
    codes = factors + 0.1 * draws.standard_normal((300, 2))
    path = tmp_path_factory.mktemp("audit") / "dead.npz"
    np.savez(path, codes=np.column_stack([np.zeros(300), codes]), factors=factors)
    result = heddle("audit", path, "--quick", "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def item(document: dict[str, Any], number: str, **asked: str) -> dict[str, Any]:
    found = [
        one
        for one in document["items"]
        if one["score"]["name"] == number and asked.items() <= one["asked"].items()
    ]
    assert len(found) == 1
    return found[0]


def text_of(document: dict[str, Any], width: int) -> str:
    screen = Console(file=io.StringIO(), width=width)
    screen.print(audit_table(document))
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


def test_a_document_holds_our_scores_and_theirs(document: dict[str, Any]) -> None:
    assert (document["file"], document["rows"], document["train_rows"]) == (
        "p09_tiny.npz",
        300,
        225,
    )
    assert (document["latents"], document["seed"]) == (4, 0)
    mig = item(document, "mig")
    assert mig["score"]["value"] == pytest.approx(
        PRINTED["dlib.mig"]["scores"]["discrete_mig"]["value"]
    )
    (theirs,) = [
        one for one in mig["published"] if one["verdict"] == "wrong" and not one["settings"]
    ]
    assert theirs["value"] == pytest.approx(PRINTED["ubi.mig.disc20"]["scores"]["mig"]["value"])
    assert theirs["repository"] == "Ubisoft-LaForge/ubisoft-laforge-DisentanglementMetrics"
    assert "entropy of the code" in theirs["reasons"][0]["why"]


def test_our_scores_are_those_of_score(document: dict[str, Any]) -> None:
    codes, factors = arrays("p09_tiny")
    metric = {"name": "dci", "predictor": "linear"}
    (expected, *_) = score(codes, factors, [metric])
    found = item(document, "disentanglement", predictor="linear")["score"]
    assert found | {"seconds": 0} == expected.model_dump(mode="json") | {"seconds": 0}


def test_what_is_cheap_has_its_null_and_interval_in_a_quick_audit(
    document: dict[str, Any],
) -> None:
    assert item(document, "mig")["score"]["null"]["replicates"] == 1000
    assert item(document, "sap", predictor="linear_svm")["score"]["ci95"]
    assert item(document, "sap", predictor="decision_tree")["score"]["ci95"] is None


def test_a_whole_audit_fits_forests_and_boosted_trees_too() -> None:
    rows = rows_of(*arrays("p09_tiny"))
    slow = [one for one in metrics_of(rows) if one not in metrics_of(rows, quick=True)]
    boosted = ("dci", "downstream", "fairness", "strong_generalisation")
    assert slow == [
        {"name": "dci", "predictor": "gradient_boosting"},
        {"name": "dci", "predictor": "random_forest"},
        *({"name": name, "predictor": "gradient_boosting"} for name in boosted[1:]),
    ]


def test_classifiers_get_bins_of_continuous_factors(tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    factors = draws.random((200, 2))
    np.savez(tmp_path / "x.npz", codes=factors + 0.05 * draws.random((200, 2)), factors=factors)
    result = heddle("audit", tmp_path / "x.npz", "--quick", "--json")
    assert result.exit_code == 0, result.output
    trees = item(json.loads(result.stdout), "sap", predictor="decision_tree")
    assert trees["score"]["params"]["factor_bins"] == 10
    assert [(one["codebase"], one["verdict"]) for one in trees["published"]] == [("ubi", "same")]


@pytest.mark.parametrize("width", [80, 100])
def test_the_table_is_whole(width: int, with_a_dead_code: dict[str, Any]) -> None:
    text = text_of(with_a_dead_code, width)
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    assert "…" not in text
    for one in with_a_dead_code["items"]:
        value = one["score"]["value"]
        assert one["score"]["name"] in text if value is None else f"{value:.3f}" in text
    # Every number of theirs has its mark at the end of its line.
    marked = [line.rstrip()[-1] for line in lines if line.rstrip().endswith(("=", "≠", "✗"))]
    verdicts = [
        {"same": "=", "wrong": "✗"}.get(theirs["verdict"], "≠")
        for one in with_a_dead_code["items"]
        for theirs in one["published"]
    ]
    assert marked == verdicts
    assert set(marked) == {"=", "≠", "✗"}


def test_each_reason_stands_below_the_table_once(with_a_dead_code: dict[str, Any]) -> None:
    text = text_of(with_a_dead_code, 200)
    for told in (
        "ubi mig, mig_sup: it divides by the entropy of code 0, which is zero",
        "ubi modularity: there is no information in code 0",
        "ubi dci lasso disentanglement: no importance falls to code 0",
        "dlib explicitness multinomial: it divides code 0",
        "dcf mig: it cuts factors into 20 bins, too, and so merges values of factor_1",
        "ubi jemmig, dcimig: by default it cuts codes and factors into 10 bins",
    ):
        assert text.count(told) == 1, told
    assert text.index("✗ dcf mig") < text.index("≠ ubi jemmig")
    assert "dlib google-research/disentanglement_lib@86a644d4" in text
    lasso = item(with_a_dead_code, "disentanglement", predictor="lasso")
    assert lasso["score"]["value"] > 0.9
    assert lasso["published"][0]["value"] == 0.0


def test_a_factor_that_fails_all_is_told_once(tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    factors = np.column_stack([draws.integers(0, 3, (100, 2)), np.ones(100, dtype=int)])
    np.savez(tmp_path / "x.npz", codes=draws.random((100, 2)), factors=factors)
    result = heddle("audit", tmp_path / "x.npz", "--quick")
    assert result.exit_code == 1
    text = " ".join(result.stdout.split())
    told = "ConstantFactor: factor 'factor_2' (column 2) has the single value 1 on these rows"
    assert text.count(told) == 1
    assert "No score of mig, mig_sup, rmig, jemmig, dcimig, modularity, med" in text
    assert heddle("audit", tmp_path / "x.npz", "--quick", "--factors", "factor_[01]").exit_code == 0


def test_an_audit_of_nothing_exits_with_2(tmp_path: Path) -> None:
    assert heddle("audit", tmp_path / "absent.npz").exit_code == 2
    assert heddle("audit", FILE, "--train-rows", "301").exit_code == 2


class _Steps(Silent):
    """Keeps what it was told and stops at a step."""

    def __init__(self, stop_at: int) -> None:
        self.stop_at = stop_at
        self.told: list[tuple[int, int]] = []

    def progress(self, progress: Progress) -> Wish:
        self.told.append((progress.step, progress.steps))
        return Wish.CANCEL if progress.step == self.stop_at else Wish.CONTINUE


def test_an_audit_reports_a_metric_as_a_step_and_stops() -> None:
    rows: Rows = rows_of(*arrays("p09_tiny"))
    steps = _Steps(stop_at=3)
    with pytest.raises(Stopped):
        audit(rows, quick=True, recorder=steps)
    number = len(metrics_of(rows, quick=True))
    assert list(dict.fromkeys(steps.told)) == [(step, number) for step in range(4)]


def test_posteriors_are_audited_if_a_file_has_them() -> None:
    codes, factors = arrays("p09_tiny")
    without, with_them = (
        {one["name"] for one in metrics_of(rows_of(codes, factors, posterior_logvar=logvar))}
        for logvar in (None, np.zeros(codes.shape))
    )
    assert {"mig_posterior", "aam"} <= with_them - without
    # An audit has no images for the reconstruction.
    assert "elbo" not in with_them
