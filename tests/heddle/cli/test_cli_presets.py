"""The command of presets, against a service of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from heddle.cli import main as cli
from heddle.client.client import Client
from store.settings import Settings
from tests.api.answers.test_events import served
from tests.api.conftest import service  # noqa: F401
from tests.api.service import Service


@pytest.fixture
def url(service: Service, tmp_path: Path) -> Iterator[str]:  # noqa: F811
    with served(Settings(home=tmp_path)) as url:
        yield url


def heddle(url: str, *arguments: str, status: int = 0) -> str:
    result = CliRunner().invoke(cli.main, ["preset", *arguments, "--url", url])
    assert result.exit_code == status, result.output
    return result.output


def test_presets_are_listed_and_shown_and_nothing_starts(
    service: Service,  # noqa: F811
    url: str,
) -> None:
    listed = heddle(url)
    assert "locatello2019" in listed and "1,800" in listed
    shown = heddle(url, "tutorial", "--seeds", "2", "--dataset", "digits")
    for said in (
        "https://openreview.net",
        "objective.beta (5), seed (2)",
        "This is no paper's experiment.",
        "score_against --set x=objective.beta --set columns=mig,sap,elbo.reconstruction"
        " --set log_x=true",
        "digits",
    ):
        assert said in shown.replace("\n", " "), shown
    assert not service.json("/v1/experiments")["items"]


def test_json_is_the_document_of_the_api(service: Service, url: str) -> None:  # noqa: F811
    assert json.loads(heddle(url, "--json")) == service.json("/v1/presets")
    asked = json.loads(heddle(url, "kim2018", "--seeds", "3", "--json"))
    assert asked == service.json("/v1/presets/kim2018?seeds=3")


def test_a_dry_run_plans_with_the_changes(service: Service, url: str) -> None:  # noqa: F811
    arguments = ["locatello2019", "--dataset", "digits", "--seeds", "5"]
    arguments += ["--set", "training.steps=50000", "--dry-run"]
    planned = heddle(url, *arguments)
    assert "180, 0 of them reused" in planned and f"{180 * 50_000:,}" in planned
    # The capacity of the annealed VAE grows over 100,000 steps.
    assert "Too few steps in 30 of 180 runs" in planned
    assert not service.json("/v1/experiments")["items"]


def test_submit_posts_it(service: Service, url: str) -> None:  # noqa: F811
    arguments = ["tutorial", "--seeds", "1", "--set", "training.steps=5"]
    posted = json.loads(heddle(url, *arguments, "--submit", "--json"))
    assert len(posted["runs"]) == 5 and posted["name"] == "tutorial"
    assert service.json(f"/v1/experiments/{posted['id']}")["tags"] == ["preset", "tutorial"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tutorail"], "did you mean tutorial?"),
        (["tutorial", "--dataset", "dsprite", "--dry-run"], "dsprites"),
        (["tutorial", "--set", "training.step=5", "--dry-run"], "steps"),
        (["tutorial", "--set", "training.steps=5"], "--set needs --dry-run or --submit"),
        (["tutorial", "--watch"], "need --submit"),
        (["tutorial", "--dry-run", "--submit"], "does not go with --submit"),
        (["tutorial", "--seeds", "0"], "--seeds"),
        (["--submit"], "expected the NAME of a preset"),
    ],
)
def test_bad_choices_ask_for_others(url: str, arguments: list[str], said: str) -> None:
    assert said in heddle(url, *arguments, status=2)


def test_the_client_has_presets_and_their_specs(url: str) -> None:
    with Client(url) as client:
        assert "tutorial" in [item["name"] for item in client.presets()]
        spec = client.preset("tutorial", seeds=2).json()["spec"]
        assert client.dry_run(spec).json()["runs"] == 10
