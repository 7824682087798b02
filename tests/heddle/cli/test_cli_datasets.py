"""Data sets on the command line and from Python, against a service of their own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from heddle.cli import main as cli
from heddle.client import datasets
from heddle.client.client import Client
from heddle.errors import HeddleError, ServerUnreachable
from ml.datasets.protocol import data_folder
from store.settings import Settings
from tests.api.answers.test_events import served
from tests.api.conftest import empty_data_folder, service  # noqa: F401
from tests.api.service import Service

COUNT = 24


@pytest.fixture
def url(service: Service, tmp_path: Path) -> Iterator[str]:  # noqa: F811
    with served(Settings(home=tmp_path)) as url:
        yield url


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of PNGs of noise, with hidden files that are no images."""
    folder = tmp_path / "faces"
    (folder / "more").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "x.png").write_bytes(b"no image")
    (folder / ".DS_Store").write_bytes(b"x")
    noise = np.random.default_rng(0).integers(0, 256, (COUNT, 16, 16), dtype=np.uint8)
    for number, image in enumerate(noise):
        Image.fromarray(image).save(folder / "more" / f"{number:02}.png")
    return folder


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "faces.csv"
    rows = [f"{number:02}.png,{number % 3},{number / 7}" for number in range(COUNT)]
    path.write_text("\n".join(["file,hair,age", *rows]) + "\n")
    return path


def heddle(url: str, *arguments: str, status: int = 0) -> Result:
    result = CliRunner().invoke(cli.main, [*arguments, "--url", url])
    assert result.exit_code == status, result.output
    return result


def test_a_folder_is_added_listed_shown_renamed_and_deleted(
    url: str, folder: Path, table: Path
) -> None:
    arguments = ("dataset", "add", str(folder), "--name", "faces", "--factors", str(table))
    more = ("--kind", "hair=continuous", "--licence", "CC0", "--resize", "32")
    understood = heddle(url, *arguments, *more, "--dry-run", "--json")
    assert json.loads(understood.stdout)["images"] == COUNT
    document = json.loads(heddle(url, *arguments, *more, "--json").stdout)
    assert (document["images"], document["shape"], document["licence"]) == (
        COUNT,
        [32, 32, 1],
        "CC0",
    )
    assert [(one["name"], one["kind"]) for one in document["factors"]] == [
        ("hair", "continuous"),
        ("age", "continuous"),
    ]
    assert re.search(r"faces +24 +32 x 32 x 1 +2 +uploaded", heddle(url, "dataset", "list").stdout)
    listed = json.loads(heddle(url, "dataset", "list", "--json").stdout)
    assert listed["items"][0] == document
    again = heddle(url, "dataset", "add", str(folder), "--name", "faces", status=1)
    assert "a name that no data set has" in again.output
    heddle(url, "dataset", "rename", "faces", "portraits")
    shown = heddle(url, "dataset", "describe", "portraits", "--description", "of ours").stdout
    assert "of ours" in shown and "former names" in shown
    assert heddle(url, "dataset", "show", "faces").stdout == shown
    heddle(url, "dataset", "delete", "portraits", "--yes")
    heddle(url, "dataset", "show", "faces", status=2)
    assert not list((data_folder() / "uploads").iterdir())


def test_bad_arguments_are_reported(url: str, folder: Path, tmp_path: Path) -> None:
    def said(*arguments: str) -> str:
        return heddle(url, "dataset", "add", *arguments, status=2).output

    assert "FACTOR=discrete" in said(str(folder), "--name", "a", "--kind", "hair=often")
    assert "Cannot read the file" in said(str(tmp_path / "none.zip"), "--name", "a")
    (tmp_path / "empty").mkdir()
    assert "holds no files" in said(str(tmp_path / "empty"), "--name", "a")
    assert "name" in said(str(folder), "--name", "0a")
    heddle(url, "dataset", "describe", "a", status=2)
    assert not list((data_folder() / "uploads").iterdir())


class _Breaking(httpx.HTTPTransport):
    """A connection that breaks in some parts after half of them has gone."""

    def __init__(self, *breaks: int) -> None:
        super().__init__()
        self._breaks = breaks
        self.parts = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.method != "PATCH":
            return super().handle_request(request)
        self.parts += 1
        if self.parts not in self._breaks:
            return super().handle_request(request)
        content = request.read()
        half = httpx.Request(
            "PATCH",
            request.url,
            headers={**request.headers, "content-length": str(len(content) // 2)},
            content=content[: len(content) // 2],
        )
        super().handle_request(half).read()
        raise httpx.WriteError("the line is dead", request=request)


def test_an_upload_goes_on_after_broken_connections(
    url: str, folder: Path, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "PART_BYTES", 2000)
    monkeypatch.setattr(datasets, "PAUSE_SECONDS", 0.01)
    seen: list[tuple[str, int, int]] = []
    breaking = _Breaking(2, 3, 5)
    with Client(url, transport=breaking) as client:
        answer = client.add_dataset(
            folder,
            name="faces",
            factors=table,
            progress=lambda stage, done, of: seen.append((stage, done, of)),
        )
        assert (answer.status_code, answer.json()["images"]) == (201, COUNT)
        assert client.dataset("faces") == answer.json()
        assert client.datasets()[0]["name"] == "faces"
    assert breaking.parts > 5
    assert {stage for stage, _, _ in seen} == {"packing", "sending", "storing"}
    assert 3000 in [done for stage, done, _ in seen if stage == "sending"]


def test_an_upload_that_does_not_go_on_is_given_up(
    url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(datasets, "PAUSE_SECONDS", 0.02)

    class Dead(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if request.method == "PATCH":
                raise httpx.ReadError("the line is dead", request=request)
            return super().handle_request(request)

    with Client(url, transport=Dead()) as client, pytest.raises(ServerUnreachable):
        client.add_dataset(folder, name="faces")
    with Client(url) as client, pytest.raises(HeddleError):
        client.dataset("faces")
    assert not list((data_folder() / "uploads").iterdir())
