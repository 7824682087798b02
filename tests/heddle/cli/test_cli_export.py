"""Commands that take results away: what they write, print, and exit with."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result

from heddle.cli import main as cli
from heddle.client.download import unpack
from heddle.errors import HeddleError
from tests.heddle.fake_server import FakeServer, problem

pytestmark = pytest.mark.usefixtures("connected")


def heddle(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, arguments)


def zipped(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()


def served(server: FakeServer, content: bytes, of: str = '{"id": "run_a", "state": "x"}') -> None:
    server.instead = [
        lambda _: httpx.Response(200, content=of),
        lambda _: httpx.Response(200, content=content),
    ]


def test_export_unpacks_a_run_and_says_what_is_there(server: FakeServer, tmp_path: Path) -> None:
    folder = tmp_path / "beta4"
    for _ in range(2):  # What is there already is replaced.
        served(server, zipped({"load.py": b"x = 1", "README.md": b"r" * 1234}))
        result = heddle("export", "run_a", "--to", str(folder))
        assert result.exit_code == 0, result.output
        assert (folder / "load.py").read_bytes() == b"x = 1"
        assert sorted(path.name for path in folder.iterdir()) == ["README.md", "load.py"]
    for part in ("README.md", "1,234", "load.py compares"):
        assert part in result.output.replace("\n", "")
    assert server.paths[-1] == "/v1/runs/run_a/folder.zip"


def test_export_can_tell_a_program(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    served(server, zipped({"scores.json": b"[]\n"}))
    result = heddle("export", "run_a", "--json")
    assert json.loads(result.output) == {
        "run": "run_a",
        "folder": "run_a",
        "files": [{"name": "scores.json", "bytes": 3}],
    }
    assert (tmp_path / "run_a" / "scores.json").read_bytes() == b"[]\n"


def test_what_is_no_run_or_not_trained_is_told(server: FakeServer) -> None:
    assert heddle("export", "exp_01").exit_code == 2
    server.instead = [
        lambda _: httpx.Response(200, json={"id": "run_a", "state": "queued"}),
        lambda _: problem(409, "Conflict", "run_a is queued"),
    ]
    result = heddle("export", "run_a")
    assert result.exit_code == 1 and "run_a is queued" in result.output


@pytest.mark.parametrize("name", ["../out.py", "/out.py", "a/../../out.py", "a\\out.py"])
def test_nothing_is_unpacked_when_a_name_leads_out_of_the_folder(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "inner"
    with pytest.raises(HeddleError, match="expected a name inside its folder"):
        unpack(zipped({"good.py": b"", name: b"evil"}), folder)
    assert list(tmp_path.rglob("*")) == []


def test_a_file_that_is_no_whole_zip_is_refused(tmp_path: Path) -> None:
    whole = zipped({"a.py": b"x" * 100})
    damaged = whole.replace(b"x" * 50, b"y" * 50)
    for content in (b"<html>", whole[:-30], damaged):
        with pytest.raises(HeddleError, match="no whole zip file"):
            unpack(content, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_link_in_place_of_a_file_is_replaced_and_not_followed(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "run"
    outside.write_bytes(b"mine")
    folder.mkdir()
    (folder / "load.py").symlink_to(outside)
    unpack(zipped({"load.py": b"x = 1"}), folder)
    assert outside.read_bytes() == b"mine"
    assert (folder / "load.py").read_bytes() == b"x = 1"


def test_report_writes_the_page_and_names_it(server: FakeServer, tmp_path: Path) -> None:
    out = tmp_path / "pages" / "beta.html"
    served(server, b"<!doctype html>", json.dumps(server.experiment()))
    result = heddle("report", "exp_01", "--out", str(out))
    assert result.exit_code == 0, result.output
    assert result.output.strip() == str(out)
    assert out.read_bytes() == b"<!doctype html>"
    assert server.paths[-1] == "/v1/experiments/exp_01/report.html"
    assert heddle("report", "run_a").exit_code == 2
