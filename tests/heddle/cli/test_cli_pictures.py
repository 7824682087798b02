"""Commands that fetch pictures: what they ask for, write, print, and exit with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from heddle.cli import main as cli
from heddle.client.client import Client
from tests.heddle.fake_server import FakeServer, problem

pytestmark = pytest.mark.usefixtures("connected")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def heddle(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, arguments)


def served(server: FakeServer, content: bytes = b"a picture") -> None:
    """The next request gets this."""
    server.instead.append(lambda _: httpx.Response(200, content=content))


def run_document(server: FakeServer, **names: str) -> None:
    document = {"id": "run_a", "state": "succeeded", "latent_names": names}
    server.instead.append(lambda _: httpx.Response(200, json=document))


def asked(server: FakeServer) -> tuple[str, dict[str, Any]]:
    request = server.requests[-1]
    return request.url.path, dict(request.url.params)


def test_traverse_writes_the_picture_and_names_it(server: FakeServer, tmp_path: Path) -> None:
    result = heddle("traverse", "run_a")
    assert result.exit_code == 0, result.output
    assert result.output == "traversal.png\n"
    assert (tmp_path / "traversal.png").read_bytes() == b"a picture"
    assert asked(server) == ("/v1/runs/run_a/traversal.png", {})


def test_traverse_asks_for_what_is_chosen_and_no_more(server: FakeServer, tmp_path: Path) -> None:
    result = heddle(
        *("traverse", "run_a", "--out", "films/smile.gif", "--span", "deviations"),
        *("--extent", "3", "--frames", "21", "--latents", "0,3", "--image", "7", "--json"),
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.output) == {"file": "films/smile.gif"}
    assert (tmp_path / "films" / "smile.gif").read_bytes() == b"a picture"
    params = {"span": "deviations", "extent": "3.0", "frames": "21", "latents": "0,3", "image": "7"}
    assert asked(server) == ("/v1/runs/run_a/traversal.gif", params)


@pytest.mark.parametrize(
    ("of", "plot", "out", "path"),
    [
        ("run_a", "codes_map", "map.svg", "/v1/runs/run_a/plots/codes_map.svg"),
        ("run_a", "traversal", "t.svg", "/v1/runs/run_a/plots/traversal.svg"),
        ("run_a", "training_film", "film.gif", "/v1/runs/run_a/training.gif"),
        ("exp_01", "score_against", "s.png", "/v1/experiments/exp_01/plots/score_against.png"),
        ("dsprites", "factor_grid", "g.png", "/v1/datasets/dsprites/plots/factor_grid.png"),
        ("my_data", "factor_grid", "g.png", "/v1/datasets/my_data/plots/factor_grid.png"),
    ],
)
def test_plot_asks_where_the_plot_is(
    of: str, plot: str, out: str, path: str, server: FakeServer, tmp_path: Path
) -> None:
    served(server)
    params = ("--set", "x=objective.beta", "--set", "log_x=true")
    result = heddle("plot", of, plot, "--out", out, *params)
    assert result.exit_code == 0, result.output
    assert (tmp_path / out).read_bytes() == b"a picture"
    assert asked(server) == (path, {"x": "objective.beta", "log_x": "true"})


def test_a_plot_is_called_after_itself_if_nobody_says_otherwise(
    server: FakeServer, tmp_path: Path
) -> None:
    served(server)
    assert heddle("plot", "run_a", "curves", "--json").output == '{"file": "curves.png"}\n'
    assert (tmp_path / "curves.png").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("traverse", "run_a", "--out", "t.jpg"), ".png or .gif"),
        (("plot", "run_a", "curves", "--out", "c.gif"), ".png or .svg"),
        (("plot", "run_a", "curves", "--set", "frames"), "PARAM=VALUE"),
        (("traverse", "exp_01"), "expected run_"),
        (("traverse", "run_a", "--frames", "1"), "2<=x<=51"),
        (("name", "run_a", "smile"), "z3=smile"),
        (("name", "run_a", "zz=smile"), "z3=smile"),
        (("name", "run_a"), "Missing argument"),
    ],
)
def test_what_is_asked_wrongly_asks_for_another_and_writes_nothing(
    arguments: tuple[str, ...], told: str, tmp_path: Path
) -> None:
    result = heddle(*arguments)
    assert result.exit_code == 2 and told in result.output
    assert list(tmp_path.iterdir()) == []


def test_what_the_server_refuses_is_told_and_writes_nothing(
    server: FakeServer, tmp_path: Path
) -> None:
    for status, exit_code in ((422, 2), (409, 1)):
        server.instead = [lambda _, status=status: problem(status, "No", "no such latent")]
        result = heddle("plot", "run_a", "latent_plane", "--set", "x=99")
        assert result.exit_code == exit_code and "no such latent" in result.output
    assert list(tmp_path.iterdir()) == []


def test_plots_lists_what_there_is_of_a_kind(server: FakeServer) -> None:
    schema = {"properties": {"name": {}, "x": {}, "log_x": {}}}
    entry = {"name": "score_against", "of": "study", "summary": "A score.", "params_schema": schema}
    document = {"plots": [entry, {**entry, "name": "curves", "of": "run", "summary": "Curves."}]}
    for of, there, absent in (("study", "score_against", "curves"), ("run", "curves", "against")):
        served(server, json.dumps(document).encode())
        result = heddle("plots", "--of", of)
        assert result.exit_code == 0, result.output
        assert there in result.output and "x log_x" in result.output
        assert absent not in result.output
    served(server, json.dumps(document).encode())
    assert json.loads(heddle("plots", "--json").output) == document


def test_name_changes_what_is_given_and_leaves_other_names(server: FakeServer) -> None:
    run_document(server, **{"0": "hat", "5": "beard"})
    run_document(server, **{"0": "hat", "3": "smile"})
    result = heddle("name", "run_a", "z3=smile", "5=")
    assert result.exit_code == 0, result.output
    assert result.output == "z0 hat\nz3 smile\n"
    request = server.requests[-1]
    assert request.method == "PATCH" and request.url.path == "/v1/runs/run_a"
    assert json.loads(request.content) == {"latent_names": {"0": "hat", "3": "smile"}}


def test_a_client_fetches_pictures_with_their_params(server: FakeServer, tmp_path: Path) -> None:
    client = Client("http://heddle.test", transport=httpx.MockTransport(server.answer))
    run, experiment = client.run("run_a"), client.experiment("exp_01")
    run.traversal(tmp_path / "t.png", latents=[0, 3], span=None, frames=5)
    assert asked(server) == ("/v1/runs/run_a/traversal.png", {"latents": "0,3", "frames": "5"})
    served(server)
    path = experiment.plot("score_against", tmp_path / "a.svg", log_x=True, columns=("mig", "sap"))
    assert path == tmp_path / "a.svg" and path.read_bytes() == b"a picture"
    params = {"log_x": "true", "columns": "mig,sap"}
    assert asked(server) == ("/v1/experiments/exp_01/plots/score_against.svg", params)
    with pytest.raises(ValueError, match=r"expected one ending in \.png or \.svg"):
        run.plot("curves", tmp_path / "c.gif")
