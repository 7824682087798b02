"""A reduced preset is posted by the command, trained, scored and reported."""

from __future__ import annotations

import json
import re
from pathlib import Path

from click.testing import CliRunner

from heddle.cli import main as cli
from store.settings import Settings
from tests.api.answers.test_events import served
from tests.worker.workplace import Workplace, on_sqlite
from worker.evaluation import evaluate_next
from worker.training import train_next

REDUCED = [
    "--seeds=2",
    "--set=sweep.objective.beta=[1, 16]",
    "--dataset=digits",
    "--set=model={name: mlp, hidden: [32], latent_dim: 3}",
    "--set=training.steps=12",
    "--set=evaluation.rows=60",
    "--set=evaluation.test_rows=20",
    "--set=evaluation.uncertainty=false",
    "--set=traversal.frames=2",
]


@on_sqlite
def test_a_reduced_preset_runs_and_is_reported(
    workplace: Workplace, database_url: str, tmp_path: Path
) -> None:
    with served(Settings(home=tmp_path / "home", database_url=database_url)) as url:

        def heddle(*arguments: str) -> str:
            result = CliRunner().invoke(cli.main, [*arguments, "--url", url])
            assert result.exit_code == 0, result.output
            return result.output

        command = ["preset", "tutorial", *REDUCED, "--json"]
        planned = json.loads(heddle(*command, "--dry-run"))
        assert (planned["runs"], planned["steps"]) == (4, 4 * 12)
        posted = json.loads(heddle(*command, "--submit"))
        assert len(posted["runs"]) == 4
        while train_next():
            pass
        while evaluate_next():
            pass
        assert json.loads(heddle("show", posted["id"], "--json"))["state"] == "succeeded"
        page = tmp_path / "report.html"
        heddle("report", posted["id"], "--out", str(page))
        report = page.read_text(encoding="utf-8")
        text = re.sub(r"\s+", " ", re.sub(r"<style.*?</style>|<[^>]+>", " ", report, flags=re.S))
        for said in ("tutorial succeeded", "4 succeeded", "objective.beta 16", "score against"):
            assert said in text, text[:3000]
