"""Commands that tell what sweeps came to, against a service of their own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from heddle.cli import main as cli
from store.settings import Settings
from tests.api.answers.test_events import served
from tests.api.conftest import service  # noqa: F401
from tests.api.service import Service
from tests.api.studies.test_results import swept


@pytest.fixture
def url(service: Service, tmp_path: Path) -> Iterator[str]:  # noqa: F811
    with served(Settings(home=tmp_path)) as url:
        yield url


def run(url: str, *arguments: str) -> Result:
    return CliRunner().invoke(cli.main, [*arguments, "--url", url])


def test_a_sweep_is_told_as_a_table_a_file_and_a_summary(
    service: Service,  # noqa: F811
    url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    id = swept(service).rpartition("/")[2]
    table = run(url, "results", id)
    assert table.exit_code == 0 and "objective.beta" in table.output and "mig" in table.output

    rows = json.loads(run(url, "results", id, "--json").output)["items"]
    assert rows == service.json(f"/v1/experiments/{id}/results")["items"]
    assert run(url, "results", id, "--format", "csv").output.startswith('"run_id","state"')
    file = tmp_path / "new" / "folder" / "found.parquet"
    assert run(url, "results", id, "--out", str(file)).output == f"{file}\n"
    assert pd.read_parquet(file)["run_id"].tolist() == [row["run_id"] for row in rows]

    shown = run(url, "summary", id)
    assert shown.exit_code == 0, shown.output
    assert "fewer than five" in shown.output and "objective.beta=" in shown.output
    document = json.loads(run(url, "summary", id, "--no-udr", "--json").output)
    assert document["best_by_udr"] is None and document["counts"]["failed"] == 1

    page = tmp_path / "found.html"
    assert run(url, "report", id, "--out", str(page)).exit_code == 0
    assert id in page.read_text()

    board = run(url, "leaderboard", "digits")
    assert board.exit_code == 0 and "mig@1" in board.output and "beta_vae" in board.output
    nothing = run(url, "leaderboard", "dsprites")
    assert "Nothing was scored" in nothing.output


def test_a_table_to_look_at_is_no_file(url: str, tmp_path: Path) -> None:
    asked = ["results", "exp_1", "--format", "table", "--out", str(tmp_path / "x")]
    assert run(url, *asked).exit_code == 2
    assert run(url, "leaderboard", "dsprits").exit_code == 2
