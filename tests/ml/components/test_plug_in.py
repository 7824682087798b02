"""A package of somebody else's brings a component, and every place that lists its kind has it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

COMPONENTS = '''
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import numpy as np

from ml.components.registry import register
from ml.metrics.information.information_metric import InformationMetric
from ml.metrics.information.mutual_information import Information
from ml.metrics.protocol import Number


@register
class BestShare(InformationMetric):
    """The share of each factor's entropy that its best latent holds."""

    name: Literal["best_share"] = "best_share"
    numbers: ClassVar[Sequence[Number]] = (Number("best_share", perfect=None),)
    leads: ClassVar[bool] = True

    def aggregate(self, known: Information) -> tuple[float, Mapping[str, np.ndarray]]:
        shares = known.mutual.max(axis=0) / known.factors
        return float(shares.mean()), {"per_factor": shares}
'''

PROGRAM = """
import json
import numpy as np
from api.routes.catalog import catalog
from ml.codes.checked_rows import rows_of
from ml.evaluation.advice import advise
from ml.evaluation.audit import metrics_of
from ml.evaluation.evaluate import score_rows
from ml.evaluation.score import metric_of
from ml.spec.run_spec import RunSpec

draws = np.random.default_rng(0)
factors = np.stack([draws.integers(0, size, 400) for size in (4, 6)], axis=1)
# Two latents know the first factor.
codes = factors[:, [0, 0, 1]] + 0.02 * draws.standard_normal((400, 3))
rows = rows_of(codes, factors, factor_names=["shape", "scale"])
spec = {"dataset": "digits", "objective": "vae", "evaluation": {"metrics": ["best_share"]}}
print(json.dumps({
    "catalogue": [one.name for one in catalog()["metrics"]],
    "spec": [one.name for one in RunSpec.parse(spec).evaluation.metrics],
    "audit": metrics_of(rows),
    "advice": [one.reason for one in advise(score_rows(rows, [metric_of("best_share")]))],
}))
"""


@pytest.fixture(scope="module")
def with_a_plug_in(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What Heddle says once the package is installed."""
    site = tmp_path_factory.mktemp("site")
    (site / "lab_components.py").write_text(COMPONENTS)
    facts = site / "lab_components-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: lab-components\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[heddle.components]\nlab = lab_components\n")
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=root,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (site, root)))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def test_a_metric_is_in_the_catalogue_and_in_specs(with_a_plug_in: dict[str, Any]) -> None:
    assert "best_share" in with_a_plug_in["catalogue"]
    assert with_a_plug_in["spec"] == ["best_share"]


def test_a_metric_is_in_every_audit(with_a_plug_in: dict[str, Any]) -> None:
    assert {"name": "best_share"} in with_a_plug_in["audit"]


def test_advice_on_a_metric_heeds_what_it_declares(with_a_plug_in: dict[str, Any]) -> None:
    assert any("two latents know shape" in one for one in with_a_plug_in["advice"])
