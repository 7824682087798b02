"""Commands and methods that use a trained model, against a service of their own."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from heddle.cli import main as cli
from heddle.client.client import Client
from heddle.client.resources import Run
from heddle.errors import HeddleError, SpecError
from store.settings import Settings
from tests.api.answers.test_events import served
from tests.api.service import SPEC, serving
from tests.api.trained_run import model_of, trained
from tests.heddle.fake_server import FakeServer


@pytest.fixture(scope="module")
def there(
    tmp_path_factory: pytest.TempPathFactory, sqlite_schema: Path
) -> Iterator[tuple[str, str, str]]:
    """The URL of a service, its trained run, and one that is not trained."""
    home = tmp_path_factory.mktemp("home")
    shutil.copy(sqlite_schema, home / "heddle.db")
    with serving(home) as service:
        run = trained(service)
        waiting = service.run_of(service.post(SPEC))
    with served(Settings(home=home)) as url:
        yield url, run, waiting


@pytest.fixture
def run(there: tuple[str, str, str]) -> Iterator[Run]:
    url, id, _ = there
    with Client(url) as client:
        yield client.run(id)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files without a name lie in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    return model_of().spec.dataset.open().images(slice(None))


def heddle(there: tuple[str, str, str], command: str, *arguments: str, run: str = "") -> Result:
    url, id, _ = there
    return CliRunner().invoke(cli.main, [command, run or id, *arguments, "--url", url])


def good(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.output


def png(path: Path, image: np.ndarray) -> str:
    Image.fromarray(image).save(path)
    return str(path)


PICTURES: list[tuple[list[str], str, str, dict[str, Any]]] = [
    # Command, its file, use, document.
    (
        ["decode", "--latents", "-1,0,1.5", "--latents", "0,0,0"],
        "decoded.png",
        "decode",
        {"latents": [[-1, 0, 1.5], [0, 0, 0]]},
    ),
    (
        ["generate", "--count", "5", "--seed", "3"],
        "samples.png",
        "generate",
        {"count": 5, "seed": 3},
    ),
    (
        ["swap", "3", "9", "--factor", "digit"],
        "swap.png",
        "swap",
        {"a": 3, "b": 9, "factor": "digit"},
    ),
    (
        ["swap", "3", "9", "--latents", "0,2"],
        "swap.png",
        "swap",
        {"a": 3, "b": 9, "latents": [0, 2]},
    ),
    (
        ["interpolate", "3", "9", "--frames", "4", "--path", "spherical"],
        "interpolation.png",
        "interpolate",
        {"a": 3, "b": 9, "frames": 4, "path": "spherical"},
    ),
]


@pytest.mark.parametrize(("asked", "file", "use", "document"), PICTURES, ids=lambda part: str(part))
def test_a_picture_is_written_and_named(
    there: tuple[str, str, str],
    tmp_path: Path,
    asked: list[str],
    file: str,
    use: str,
    document: dict[str, Any],
) -> None:
    url, id, _ = there
    command, *arguments = asked

    def served(accept: str, query: str = "") -> bytes:
        answer = httpx.post(
            f"{url}/v1/runs/{id}/{use}{query}",
            json=document,
            headers={"accept": accept},
            timeout=120,
        )
        assert answer.status_code == 200, answer.text
        return answer.content

    assert good(heddle(there, command, *arguments)) == f"{file}\n"
    assert (tmp_path / file).read_bytes() == served("image/png")
    there_too = tmp_path / "deep" / "x.PNG"
    good(heddle(there, command, *arguments, "--scale", "2", "--out", str(there_too)))
    assert there_too.read_bytes() == served("image/png", "?scale=2")
    printed = good(heddle(there, command, *arguments, "--json"))
    assert printed == served("application/json").decode() + "\n"
    good(heddle(there, command, *arguments, "--json", "--out", "x.json"))
    assert (tmp_path / "x.json").read_bytes() == served("application/json")
    good(heddle(there, command, *arguments, "--out", "x.npz"))
    with np.load(tmp_path / "x.npz") as held:
        assert held["images"].shape[1:] == (64, 64)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [file, "deep", "x.json", "x.npz"]
    )


def test_a_way_is_written_as_a_film(there: tuple[str, str, str], tmp_path: Path) -> None:
    good(heddle(there, "interpolate", "3", "9", "--out", "film.gif"))
    with Image.open(tmp_path / "film.gif") as film:
        assert film.format == "GIF" and film.n_frames > 1


def test_codes_are_shown_and_written(
    there: tuple[str, str, str], tmp_path: Path, digits: np.ndarray
) -> None:
    files = [png(tmp_path / f"{index}.png", digits[index]) for index in (3, 9)]
    shown = good(heddle(there, "encode", *files))
    printed = json.loads(good(heddle(there, "encode", "--json", *files)))
    by_index = json.loads(good(heddle(there, "encode", "--index", "3", "--index", "9", "--json")))
    for one, other in zip(printed["items"], by_index["items"], strict=True):
        np.testing.assert_allclose(one["mean"], other["mean"], atol=1e-4)
        for number in one["mean"]:
            assert f"{number:.4g}" in shown
    assert "z2" in shown and files[0] in shown
    assert "image 3" in good(heddle(there, "encode", "--index", "3"))
    assert good(heddle(there, "encode", *files, "--out", "codes.npz")) == "codes.npz\n"
    with np.load(tmp_path / "codes.npz") as held:
        np.testing.assert_allclose(held["mean"], [one["mean"] for one in printed["items"]])


def test_anomalies_are_shown_by_their_percentile(
    there: tuple[str, str, str], tmp_path: Path, digits: np.ndarray
) -> None:
    noise = np.random.default_rng(0).integers(0, 2, (64, 64)).astype(np.uint8) * 255
    files = [png(tmp_path / "usual.png", digits[3]), png(tmp_path / "odd [1].png", noise)]
    shown = good(heddle(there, "anomaly", *files))
    document = json.loads(good(heddle(there, "anomaly", "--json", *files)))
    usual, odd = document["items"]
    assert odd["percentile"] == 0 < usual["percentile"]
    assert "300 rows of the evaluation" in shown and "odd [1].png" in shown
    assert f"{usual['elbo']:.4g}" in shown and f"{usual['percentile']:.4g}" in shown
    np.savez(tmp_path / "three.npz", images=digits[:3])
    assert "three.npz #2" in good(heddle(there, "anomaly", str(tmp_path / "three.npz")))
    averaged = good(heddle(there, "anomaly", files[0], "--samples", "8", "--json"))
    assert json.loads(averaged)["items"][0]["elbo"] != usual["elbo"]
    good(heddle(there, "anomaly", *files, "--out", "judged.json"))
    assert json.loads((tmp_path / "judged.json").read_bytes()) == document


def test_images_are_brought_to_the_models_size_when_asked(
    there: tuple[str, str, str], tmp_path: Path, digits: np.ndarray
) -> None:
    large = png(tmp_path / "large.png", digits[3].repeat(2, axis=0).repeat(2, axis=1))
    for asked in (["encode", large], ["anomaly", large], ["neighbours", "--file", large]):
        refused = heddle(there, *asked)
        assert refused.exit_code == 2 and "128 x 128" in refused.output
        good(heddle(there, *asked, "--resize"))


def test_neighbours_are_shown_of_an_index_a_code_and_a_file(
    there: tuple[str, str, str], tmp_path: Path, digits: np.ndarray
) -> None:
    one = json.loads(good(heddle(there, "neighbours", "--index", "3", "--count", "4", "--json")))
    shown = good(heddle(there, "neighbours", "--index", "3", "--count", "4"))
    assert "digit" in shown
    for item in one["items"]:
        assert str(item["index"]) in shown and f"{item['distance']:.4g}" in shown
    of_file = ["--file", png(tmp_path / "3.png", digits[3]), "--count", "4"]
    two = json.loads(good(heddle(there, "neighbours", *of_file, "--json")))
    [code] = json.loads(good(heddle(there, "encode", "--index", "3", "--json")))["items"]
    latents = ",".join(map(str, code["mean"]))
    three = json.loads(
        good(heddle(there, "neighbours", "--latents", latents, "--count", "4", "--json"))
    )
    wanted = [item["index"] for item in one["items"]]
    for other in (two, three):
        assert [item["index"] for item in other["items"]] == wanted
    good(heddle(there, "neighbours", *of_file, "--out", "near.png"))
    with Image.open(tmp_path / "near.png") as sheet:
        assert sheet.size == (5 * 66 - 2, 64)
        np.testing.assert_array_equal(np.asarray(sheet)[:, :64], digits[3])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["decode"], "--latents"),
        (["decode", "--latents", "0,a,0"], "0,a,0"),
        (["decode", "--latents", "0,nan,0"], "finite"),
        (["decode", "--latents", "0,inf,0"], "finite"),
        (["decode", "--latents", ""], "finite"),
        (["decode", "--latents", "0,0"], "latents[0]"),
        (["decode", "--latents", "0,0,0", "--out", "x.jpg"], ".npz"),
        (["decode", "--latents", "0,0,0", "--scale", "17"], "scale"),
        (["encode"], "either files or indices"),
        (["encode", "nowhere.png"], "nowhere.png"),
        (["encode", "text.png"], "PNG or JPEG"),
        (["encode", "text.png", "--index", "3"], "either files or indices"),
        (["encode", "--index", "99999"], "index[0]"),
        (["anomaly", "--index", "0", "--samples", "65"], "samples"),
        (["anomaly", "--index", "0", "--out", "x.npz"], ".json"),
        (["generate", "--count", "257"], "count"),
        (["swap", "3", "9"], "--factor or --latents"),
        (["swap", "3", "9", "--factor", "digit", "--latents", "0"], "--factor or --latents"),
        (["swap", "3", "9", "--factor", "digti"], "did you mean digit?"),
        (["swap", "3", "-9", "--factor", "digit"], ""),
        (["swap", "3", "9", "--latents", "0.5"], "0,3"),
        (["interpolate", "3"], ""),
        (["interpolate", "3", "9", "--path", "round"], "spherical"),
        (["neighbours"], "one of --index"),
        (["neighbours", "--index", "3", "--latents", "0,0,0"], "one of --index"),
        (["neighbours", "--file", "text.png"], "PNG or JPEG"),
    ],
)
def test_what_is_asked_wrongly_is_told(
    there: tuple[str, str, str], tmp_path: Path, arguments: list[str], told: str
) -> None:
    (tmp_path / "text.png").write_text("a text")
    command, *others = arguments
    result = heddle(there, command, *others)
    assert result.exit_code == 2, result.output
    assert told in result.output and not isinstance(result.exception, (TypeError, ValueError))
    assert [path.name for path in tmp_path.iterdir()] == ["text.png"]


def test_a_run_that_is_not_trained_or_no_run_is_told(there: tuple[str, str, str]) -> None:
    waiting = there[2]
    result = heddle(there, "generate", run=waiting)
    assert result.exit_code == 1 and "409" in result.output and waiting in result.output
    assert heddle(there, "generate", run="run_none").exit_code == 2
    assert heddle(there, "generate", run="exp_1").exit_code == 2


def test_a_program_uses_a_model(run: Run, tmp_path: Path, digits: np.ndarray) -> None:
    file = png(tmp_path / "3.png", digits[3])
    [code] = run.encode(file)
    [same] = run.encode(index=[3])
    np.testing.assert_allclose(code["mean"], same["mean"], atol=1e-4)
    with np.load(io.BytesIO(run.decode([code["mean"]], kind="npz"))) as held:
        wanted = model_of().decode(np.array([code["mean"]], dtype=np.float32))[..., 0]
        np.testing.assert_allclose(held["images"], wanted, atol=1e-6)
    assert run.decode([code["mean"]], scale=2).startswith(b"\x89PNG")
    assert json.loads(run.generate(2, seed=1, kind="json"))["source"] == "prior"
    [judged] = run.anomaly(file, samples=4)
    assert judged["elbo"] == pytest.approx(-(judged["reconstruction"] + judged["kl"]))
    near = run.neighbours(3, count=2, distance="standardised")
    assert len(near) == 2 and near == run.neighbours(
        latents=same["mean"], count=2, distance="standardised"
    )
    by_file = run.neighbours(file=file, count=2, distance="standardised")
    assert [one["index"] for one in by_file] == [one["index"] for one in near]
    matrix = run.distances([3, 9])
    assert matrix[0][0] == 0 and matrix[0][1] == pytest.approx(matrix[1][0])
    assert json.loads(run.swap(3, 9, factor="digit", kind="json"))["shape"] == [4, 64, 64]
    assert run.interpolate(3, 9, frames=3, path="spherical", kind="gif").startswith(b"GIF")
    with pytest.raises(HeddleError, match="either"):
        run.swap(3, 9)
    with pytest.raises(SpecError, match="either files or indices"):
        run.encode()
    with pytest.raises(SpecError, match="Cannot read"):
        run.encode(tmp_path / "none.png")


def test_a_post_names_what_it_wants_and_sends_what_it_has(
    server: FakeServer, client: Client
) -> None:
    client.run("run_a").use("decode", {"latents": [[1]]}, kind="gif", scale=3)
    request = server.requests[-1]
    assert request.headers["accept"] == "image/gif" and request.url.params["scale"] == "3"
    assert json.loads(request.content) == {"latents": [[1]]}
    client.post("/v1/runs/run_a/cancel")
    assert server.requests[-1].content == b"" and server.requests[-1].url.query == b""
