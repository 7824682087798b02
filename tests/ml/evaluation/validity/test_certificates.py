"""Certificates: every metric has one of its version, and it says what the metric gives."""

from __future__ import annotations

import math
from typing import Any

import pytest

from ml.components.registry import find
from ml.evaluation.score import metric_of
from ml.evaluation.validity.certificate import (
    FILE,
    Certificate,
    certificate_of,
    certificates,
    written,
)
from ml.evaluation.validity.drive import certify, settings
from ml.metrics.information.mig import MIG
from ml.metrics.prediction.dci import DCI
from ml.metrics.protocol import AuditSetting, Rows, Value

SETTINGS = [
    (name, setting)
    for name, setting in settings()
    if find("metric", name).__module__.startswith("ml.")
]
REDRIVEN = 1e-3
"""Sums are rounded in another order by other processors."""


def params_of(name: str, setting: AuditSetting) -> dict[str, Any]:
    return metric_of({"name": name, **setting.params}).model_dump(mode="json", exclude={"name"})


def of(name: str, **params: Any) -> Certificate:
    metric = metric_of({"name": name, **params})
    found = certificate_of(name, metric.model_dump(), f"{name}@{metric.version}")
    assert found is not None
    return found


def identity(name: str, params: Any) -> str:
    return f"{name} {sorted(params.items())}"


def test_every_registered_metric_has_a_certificate_of_its_version() -> None:
    driven = {identity(one.metric, one.params): one.definition for one in certificates()}
    registered = {
        identity(name, params_of(name, setting)): f"{name}@{find('metric', name).version}"
        for name, setting in SETTINGS
    }
    assert driven == registered, "run `python docs/write_validity.py`"


def assert_same(name: str, setting: AuditSetting) -> None:
    again, stored = certify(name, setting), of(name, **setting.params)
    assert again.errors == stored.errors and again.rows == stored.rows
    assert again.numbers.keys() == stored.numbers.keys()
    for number, one in again.numbers.items():
        kept = stored.numbers[number]
        assert one.values == pytest.approx(kept.values, abs=REDRIVEN), number
        assert one.spread == pytest.approx(kept.spread, abs=REDRIVEN)
        assert one.null_mean == pytest.approx(kept.null_mean, abs=REDRIVEN)


def test_a_cheap_metric_gives_in_every_world_what_its_certificate_says() -> None:
    assert_same("sap", AuditSetting({"predictor": "correlation"}, "cheap"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "setting"),
    [
        pytest.param(name, setting, id=identity(name, setting.params))
        for name, setting in SETTINGS
        if setting.cost != "slow"
    ],
)
def test_every_metric_gives_what_its_certificate_says(name: str, setting: AuditSetting) -> None:
    assert_same(name, setting)


def test_what_mig_gives_in_known_worlds_is_what_its_formula_says() -> None:
    values = of("mig").numbers["mig"].values
    assert values["perfect"] == 1
    assert values["duplicated"] == 0
    # One factor of four has no code.
    assert values["dropped"] == pytest.approx(3 / 4, abs=0.01)
    # A code of 20 bins holds log 20 of a factor's entropy of log 200.
    assert values["200 values"] == pytest.approx((3 + math.log(20) / math.log(200)) / 4, abs=0.03)
    # Dead codes change no gap.
    assert values["dead"] == values["permuted"] == values["rescaled"] == values["noise 20%"]


def test_dead_codes_halve_a_mean_over_codes() -> None:
    for name in ("modularity", "mig_sup"):
        values = of(name).numbers[name].values
        assert values["dead"] == pytest.approx(values["noise 20%"] / 2, abs=1e-3)
        assert "ignores_dead_codes" in of(name).failed(name)


def test_known_faults_and_aims_are_found() -> None:
    # Perfect codes of dependent factors share information (Träuble et al., 2021).
    assert "fair_under_correlation" in of("mig").failed("mig")
    # A line singles out no class between others.
    assert "reaches_best" in of("sap").failed("sap")
    # Shares of importance are those of any single code that a lasso keeps.
    lasso = of("dci", predictor="lasso")
    assert lasso.failed("disentanglement")["holds_with_few_rows"].worst.value == 1
    # It keeps none of one draw of noise, and one code of most others.
    assert lasso.numbers["disentanglement"].values["noise"] == 0
    assert lasso.failed("disentanglement")["low_for_noise"].worst.value > 0.5
    # It asks whether a code has one factor, and not whether a factor has one code.
    assert "penalises_merged" in of("modularity").sees("modularity")
    assert "penalises_duplicates" not in of("modularity").sees("modularity")
    assert "penalises_duplicates" in of("mig").sees("mig")
    assert "penalises_merged" not in of("mig").sees("mig")
    # A linear classifier reads factors off rotated codes.
    assert "penalises_rotation" not in of("explicitness").sees("explicitness_test")


def test_params_that_tell_no_certificates_apart_are_not_compared() -> None:
    assert of("mig", bins=10, factor_bins=10) is of("mig")
    assert of("dci").label == "dci:predictor=gradient_boosting"
    assert of("dci", predictor="lasso", cv=3).label == "dci:predictor=lasso"
    assert certificate_of("mig", {}, "mig@0") is None
    assert certificate_of("none", {}, "none@1") is None


def test_what_cannot_be_driven_says_why() -> None:
    elbo = of("elbo")
    assert "needs a model's posterior" in str(elbo.declined)
    assert elbo.numbers == {} and elbo.verdicts == {}


def test_an_error_in_a_world_is_kept_and_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    compute = MIG.compute

    def only_discrete(self: MIG, rows: Rows) -> dict[str, Value]:
        if "continuous" in rows.factor_kinds:
            raise ZeroDivisionError("no bins")
        if len(rows) == 100:
            return {"mig": Value(math.nan, missing="too few rows")}
        return compute(self, rows)

    monkeypatch.setattr(MIG, "compute", only_discrete)
    found = certify("mig", AuditSetting())
    assert found.errors["continuous"] == "ZeroDivisionError: no bins"
    missing = found.numbers["mig"].missing
    assert missing == dict.fromkeys(["100 rows", "100 rows of noise"], "too few rows")
    assert found.numbers["mig"].values["noise 50%"] == of("mig").numbers["mig"].values["noise 50%"]
    verdict = found.verdicts["mig"]["holds_for_continuous"]
    assert verdict.holds is None and "no bins" in str(verdict.why)


def test_the_file_is_written_as_it_is_read() -> None:
    assert FILE.read_text(encoding="utf-8") == written(certificates())


def test_a_number_without_value_leaves_the_others_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    compute = DCI.compute

    def without_completeness(self: DCI, rows: Rows) -> dict[str, Value]:
        return compute(self, rows) | {"completeness": Value(math.nan, missing="needs more rows")}

    monkeypatch.setattr(DCI, "compute", without_completeness)
    found = certify("dci", AuditSetting({"predictor": "linear"}, "cheap"))
    assert found.declined is None and "completeness" not in found.numbers
    assert found.without_value == {"completeness": "needs more rows"} and found.errors == {}
    known = of("dci", predictor="linear").numbers["informativeness"]
    assert found.numbers["informativeness"].values["noise 50%"] == known.values["noise 50%"]
    assert found.numbers["informativeness"].null_mean == pytest.approx(known.null_mean, abs=1e-3)
