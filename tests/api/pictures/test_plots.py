"""Pictures over HTTP: drawn on demand, by their params, or as the worker left them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from api.pictures import drawing
from ml.components.registry import components
from ml.datasets.digits import Digits
from ml.datasets.protocol import MissingFile
from ml.networks.model import Model
from store.queries import artifact
from tests.api.service import PICTURE, Service, problem
from tests.api.trained_run import SPEC, files_of, trained

AE = {**SPEC, "objective": {"name": "ae"}}


@pytest.fixture(scope="module")
def path(shared: Service) -> str:
    """Of a trained run, for tests that change nothing of it."""
    return f"/v1/runs/{trained(shared)}"


@pytest.fixture
def named(shared: Service, path: str) -> Iterator[str]:
    """The run with a name for a latent."""
    shared.client.patch(path, json={"latent_names": {"2": "smile"}})
    yield path
    shared.client.patch(path, json={"latent_names": None})


@pytest.fixture
def draws(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Params and format of each picture that is drawn."""
    told: list[str] = []
    kept = drawing._run_file

    def counted(plot: Any, material: Any, format: Any) -> bytes:
        told.append(f"{plot.name} {format}")
        return kept(plot, material, format)

    monkeypatch.setattr(drawing, "_run_file", counted)
    return told


def image(answer: httpx.Response, format: str = "PNG") -> Image.Image:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == f"image/{format.lower()}"
    shown = Image.open(io.BytesIO(answer.content))
    shown.load()
    assert shown.format == format
    return shown


def test_without_params_a_picture_is_what_the_worker_drew(
    shared: Service, path: str, draws: list[str]
) -> None:
    for name in ("traversal.png", "plots/traversal.png", "plots/curves.png"):
        answer = shared.get(f"{path}/{name}")
        assert answer.content.startswith(PICTURE)
        sha256 = artifact(shared.database, path.rpartition("/")[2], name.rpartition("/")[2]).sha256
        assert answer.headers["etag"] == f'"{sha256}"'
    assert not draws


@pytest.mark.parametrize(
    "query",
    [
        "traversal.png?span=deviations&extent=3&frames=5",
        "traversal.png?latents=2,0",
        "traversal.png?base=prior&seed=3&low=-1&high=1.5",
        "traversal.png?image=1796&order=factor&most=2",
        "plots/traversal.png?span=range",
        "plots/latent_plane.png",
        "plots/latent_plane.png?x=2&y=0&frames=3",
        "plots/prior_samples.png",
        "plots/codes_map.png",
    ],
)
def test_a_picture_is_drawn_on_demand_by_its_params(shared: Service, path: str, query: str) -> None:
    answer = shared.get(f"{path}/{query}")
    assert image(answer).width > 200
    assert not answer.content.startswith(PICTURE)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"].startswith("inline;")
    assert answer.headers["etag"] == f'"{hashlib.sha256(answer.content).hexdigest()}"'


def test_params_change_the_picture(shared: Service, path: str) -> None:
    few = image(shared.get(f"{path}/traversal.png?latents=1&frames=3"))
    more = image(shared.get(f"{path}/traversal.png?latents=1,2&frames=6"))
    assert few.width < more.width and few.height < more.height


def test_a_film_moves(shared: Service, path: str) -> None:
    film = image(shared.get(f"{path}/traversal.gif?frames=4"), "GIF")
    assert film.n_frames == 6


def test_an_svg_has_letters_and_may_bring_nothing_from_outside(shared: Service, path: str) -> None:
    answer = shared.get(f"{path}/plots/traversal.svg")
    assert answer.headers["content-type"].startswith("image/svg+xml")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "</text>" in answer.text and "KL" in answer.text
    assert b"http://" not in answer.content.replace(b"http://www.w3.org", b"").replace(
        b"http://purl.org", b""
    ).replace(b"http://creativecommons.org", b"")


def test_a_picture_is_kept_and_told_unchanged(shared: Service, path: str, draws: list[str]) -> None:
    query = f"{path}/traversal.png?frames=7"
    first = shared.get(query)
    etag = first.headers["etag"]
    assert shared.get(query).content == first.content
    head = shared.client.head(query)
    assert head.status_code == 200 and not head.content
    assert head.headers["etag"] == etag
    assert int(head.headers["content-length"]) == len(first.content)
    unchanged = shared.get(query, **{"if-none-match": etag})
    assert unchanged.status_code == 304 and not unchanged.content
    assert draws == ["traversal png"]
    # Another way to say the same is the same picture.
    assert shared.get(f"{path}/plots/traversal.png?frames=07&most=20").headers["etag"] == etag
    assert draws == ["traversal png"]


def test_a_name_is_shown_in_pictures_also_in_place_of_the_workers(
    shared: Service, named: str, draws: list[str]
) -> None:
    assert "z2 smile" in shared.get(f"{named}/plots/traversal.svg").text
    plain = shared.get(f"{named}/traversal.png")
    assert not plain.content.startswith(PICTURE)
    shared.client.patch(named, json={"latent_names": {"2": "fringe"}})
    assert "z2 fringe" in shared.get(f"{named}/plots/traversal.svg").text
    assert shared.get(f"{named}/traversal.png").content != plain.content
    assert draws == ["traversal svg", "traversal png"] * 2


@pytest.mark.parametrize(
    ("query", "at", "expected", "nearest"),
    [
        ("traversal.png?farmes=3", "farmes", "frames", "frames"),
        ("traversal.png?frames=1", "frames", "2", None),
        ("traversal.png?frames=many", "frames", "", None),
        ("traversal.png?span=quantile", "span", "quantiles", "quantiles"),
        ("traversal.png?latents=0,3", "latents[1]", "0 to 2", None),
        ("traversal.png?latents=0,x", "latents[1]", "", None),
        ("traversal.png?latents=", "latents[0]", "", None),
        ("traversal.png?image=1797", "image", "0 to 1796", None),
        ("traversal.gif?image=-1", "image", "0", None),
        ("traversal.png?extent=nan", "extent", "", None),
        ("traversal.png?low=1", "", "low and high", None),
        ("plots/latent_plane.svg?x=9", "x", "0 to 2", None),
        ("plots/traversal.png?name=curves", "name", "traversal", None),
        ("plots/curves.png?frames=3", "frames", "", None),
        ("training.gif?images=0", "images", "1", None),
    ],
)
def test_a_param_that_is_none_is_named(
    shared: Service, path: str, query: str, at: str, expected: str, nearest: str | None
) -> None:
    [error] = problem(shared.get(f"{path}/{query}"), 422)["errors"]
    assert error["path"] == at
    assert expected in error["expected"]
    assert nearest is None or error["nearest"] == nearest


def test_a_param_that_is_given_twice_is_refused(shared: Service, path: str) -> None:
    [error] = problem(shared.get(f"{path}/traversal.png?frames=3&frames=4"), 422)["errors"]
    assert error["path"] == "frames" and error["expected"] == "a single value"


def test_a_plot_that_there_is_none_of_is_named_with_its_nearest(shared: Service, path: str) -> None:
    [error] = problem(shared.get(f"{path}/plots/travrsal.png"), 404)["errors"]
    assert error["nearest"] == "traversal"


def test_a_plot_of_something_else_says_where_it_belongs(shared: Service, path: str) -> None:
    for asked, plot, of in (
        (path, "score_against", "/v1/experiments/{id}/plots/score_against.png"),
        ("/v1/experiments/exp_x", "traversal", "/v1/runs/{id}/plots/traversal.png"),
        ("/v1/datasets/digits", "traversal", "/v1/runs/{id}/plots/traversal.png"),
        (path, "factor_grid", "/v1/datasets/{name}/plots/factor_grid.png"),
    ):
        assert of in problem(shared.get(f"{asked}/plots/{plot}.png"), 404)["detail"]


def test_a_run_that_is_not_trained_is_a_conflict_and_one_that_is_not_there_missing(
    service: Service,
) -> None:
    id = service.run_of(service.post(SPEC))
    for name in ("traversal.gif", "traversal.png?frames=3", "plots/latent_plane.svg"):
        assert id in problem(service.get(f"/v1/runs/{id}/{name}"), 409)["detail"]
        problem(service.get(f"/v1/runs/run_x/{name}"), 404)
    # As before, for what the worker draws; and a film of it the same.
    problem(service.get(f"/v1/runs/{id}/plots/curves.png"), 409)


def test_a_run_without_snapshots_says_how_to_have_them(shared: Service, path: str) -> None:
    for name in ("training.gif", "plots/training_film.png"):
        assert "training.snapshots" in problem(shared.get(f"{path}/{name}"), 409)["detail"]


def test_an_encoder_without_a_prior_refuses_it_as_a_base(service: Service) -> None:
    path = f"/v1/runs/{trained(service, AE)}"
    image(service.get(f"{path}/plots/latent_plane.png?frames=3"))
    [error] = problem(service.get(f"{path}/traversal.png?base=prior"), 422)["errors"]
    assert error["path"] == "base"


def test_snapshots_make_a_film(service: Service) -> None:
    spec = SPEC | {"seed": 5}
    model = Model.from_bytes(files_of(spec)["weights.safetensors"])
    early = replace(model, steps=4)
    kept = {"snapshots/00000004.safetensors": early.to_bytes()}
    path = f"/v1/runs/{trained(service, spec, kept)}"
    film = image(service.get(f"{path}/training.gif?images=3"), "GIF")
    assert film.n_frames == 2
    assert "step 4" in service.get(f"{path}/plots/training_film.svg").text


def test_plots_of_an_experiment_are_drawn_as_it_is_by_now(service: Service) -> None:
    spec = SPEC | {"sweep": {"objective.beta": [1, 4]}}
    path = f"/v1/experiments/{service.post(spec)['id']}/plots"
    problem(service.get(f"{path}/score_against.png"), 409)
    service.finish()
    first = service.get(f"{path}/score_against.png")
    image(first)
    service.finish()
    second = service.get(f"{path}/score_against.png")
    assert second.content != first.content
    assert service.get(f"{path}/score_against.svg?log_x=true").status_code == 200
    unchanged = {"if-none-match": second.headers["etag"]}
    assert service.get(f"{path}/score_against.png", **unchanged).status_code == 304
    problem(service.get("/v1/experiments/exp_x/plots/score_against.png"), 404)


def test_data_sets_are_pictured_by_name(shared: Service) -> None:
    samples = shared.get("/v1/datasets/dsprites/samples.png")
    assert image(samples).width > 200
    same = shared.get("/v1/datasets/dsprites/plots/factor_grid.png")
    assert same.headers["etag"] == samples.headers["etag"]
    assert shared.get("/v1/datasets/digits/plots/factor_grid.svg").status_code == 200
    [error] = problem(shared.get("/v1/datasets/dsprits/samples.png"), 404)["errors"]
    assert error["path"] == "dataset" and error["nearest"] == "dsprites"


def test_a_data_set_whose_file_is_not_there_is_a_problem_and_no_fault(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: Digits) -> None:
        raise MissingFile(Path("digits.npz"), size="1 MB", published="nowhere")

    monkeypatch.setattr(Digits, "open", away)
    assert "nowhere" in problem(service.get("/v1/datasets/digits/samples.png"), 503)["detail"]


@pytest.mark.parametrize("plot", sorted(components("plot")))
def test_the_catalogue_says_what_each_plot_is_of(shared: Service, plot: str) -> None:
    [entry] = [one for one in shared.json("/v1/catalog")["plots"] if one["name"] == plot]
    assert entry["of"] == components("plot")[plot].of


def test_latents_are_named_and_unnamed(shared: Service, path: str) -> None:
    answer = shared.client.patch(path, json={"latent_names": {"0": "smile", "2": "fringe"}})
    assert answer.status_code == 200
    assert answer.json()["latent_names"] == {"0": "smile", "2": "fringe"}
    assert shared.json(path)["latent_names"] == {"0": "smile", "2": "fringe"}
    for none in ({}, None):
        shared.client.patch(path, json={"latent_names": {"1": "hat"}})
        answer = shared.client.patch(path, json={"latent_names": none})
        assert answer.status_code == 200 and answer.json()["latent_names"] == {}


@pytest.mark.parametrize(
    ("body", "at"),
    [
        ({"latent_names": {"3": "smile"}}, "latent_names.3"),
        ({"latent_names": {"01": "smile"}}, "latent_names.01"),
        ({"latent_names": {"-1": "smile"}}, "latent_names.-1"),
        ({"latent_names": {"z1": "smile"}}, "latent_names.z1"),
        ({"latent_names": {"1": ""}}, "latent_names.1"),
        ({"latent_names": {"1": "x" * 41}}, "latent_names.1"),
        ({"latent_names": {"1": "a\nb"}}, "latent_names.1"),
        ({"latent_names": {"1": 7}}, "latent_names.1"),
        ({"latent_names": ["smile"]}, "latent_names"),
        ({"latent_nmes": {}}, "latent_nmes"),
        ({}, "latent_names"),
        ([], ""),
    ],
)
def test_names_that_are_none_are_refused_and_nothing_is_changed(
    shared: Service, named: str, body: Any, at: str
) -> None:
    errors = problem(shared.client.patch(named, json=body), 422)["errors"]
    assert at in [error["path"] for error in errors]
    assert shared.json(named)["latent_names"] == {"2": "smile"}


def test_a_run_that_is_not_there_has_no_names(shared: Service) -> None:
    problem(shared.client.patch("/v1/runs/run_x", json={"latent_names": {}}), 404)
