"""`heddle score FILE FILE …`: a table with a row for each, and the scores of each by itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from heddle.cli import main as cli

ASKED = ("--quick", "--metrics", "mig,dci:predictor=linear,sap:predictor=correlation")


def heddle(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli.main, ["score", *(str(argument) for argument in arguments)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two files, one that is none between them, and one whose second factor is constant."""
    folder = tmp_path / "codes"
    folder.mkdir()
    draws = np.random.default_rng(0)
    for name, noise in (("a", 0.1), ("c", 0.5), ("d", 0.1)):
        factors = draws.integers(0, 5, (200, 2))
        codes = factors + noise * draws.standard_normal((200, 2))
        factors[:, 1] *= name != "d"
        np.savez(folder / f"{name}.npz", codes=codes, factors=factors)
    (folder / "b.npz").write_text("no archive")
    return folder


def without_times(document: dict[str, Any]) -> dict[str, Any]:
    return document | {"items": [item | {"seconds": 0} for item in document["items"]]}


def test_each_file_has_the_scores_that_it_has_alone(folder: Path) -> None:
    files = [folder / f"{name}.npz" for name in "abcd"]
    result = heddle(*files, *ASKED, "--json")
    assert result.exit_code == 1
    items = json.loads(result.stdout)["items"]
    assert [item["file"] for item in items] == [str(file) for file in files]
    for item, file in zip(items, files, strict=True):
        alone = heddle(file, *ASKED, "--json")
        if file.name == "b.npz":
            assert alone.exit_code == 2 and item["error"].splitlines()[0] in alone.output
            assert item["items"] == [] and item["understood"] is None
            continue
        assert item.pop("error") is None and item.pop("file") == str(file)
        expected = json.loads(alone.stdout)
        assert expected.pop("next_cursor") is None
        assert without_times(item) == without_times(expected)


def test_a_folder_stands_for_its_npz_files_and_all_are_in_one_table(folder: Path) -> None:
    (folder / "notes.txt").touch()
    result = heddle(folder, *ASKED)
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    heading = next(line for line in lines if "file" in line)
    assert [cell.strip() for cell in heading.strip("┃").split("┃")] == [
        "file",
        "mig",
        "dci.disentanglement",
        "dci.completeness",
        "dci.informativeness",
        "sap",
    ]
    cells = {
        Path(line.split("│")[1].strip()).name: [cell.strip() for cell in line.split("│")[2:-1]]
        for line in lines
        if line.startswith("│")
    }
    assert list(cells) == ["a.npz", "b.npz", "c.npz", "d.npz"]
    assert all(cells["a.npz"]) and all(cells["c.npz"])
    assert cells["b.npz"] == cells["d.npz"] == [""] * 5
    assert "b.npz cannot be scored" in result.stdout
    assert "d.npz: mig: ConstantFactor: factor 'factor_1'" in result.stdout


def test_files_that_all_can_be_scored_exit_with_0(folder: Path) -> None:
    both = "dci:predictor=linear,dci:predictor=lasso"
    result = heddle(folder / "a.npz", folder / "c.npz", "--metrics", both, "--quick")
    assert result.exit_code == 0
    assert "predictor=linear" in result.stdout
    assert "predictor=lasso" in result.stdout


def test_what_makes_no_sense_exits_with_2_before_anything_is_scored(folder: Path) -> None:
    several = folder / "a.npz", folder / "c.npz"
    for wrong, told in (
        (["--metrics", "nig"], "nig"),
        (["--metrics", "mig:bins=1"], "bins"),
        (["--rows-curve"], "for a single file"),
        (["--server"], "for a single file"),
        (["--rows", "100"], "for a single file"),
    ):
        result = heddle(*several, *wrong)
        assert result.exit_code == 2 and told in result.output, wrong
    empty = folder / "empty"
    empty.mkdir()
    assert heddle(empty).exit_code == 2
    assert heddle().exit_code == 2


def test_a_name_that_no_file_can_have_is_told(folder: Path) -> None:
    # 300 letters are more than a file system takes, and it says so where it is asked for a folder.
    unfit = folder / ("a" * 300)
    alone = heddle(unfit, *ASKED)
    assert alone.exit_code == 2 and "Error: " in alone.output
    result = heddle(unfit, folder / "a.npz", *ASKED, "--json")
    assert result.exit_code == 1
    assert [item["error"] is None for item in json.loads(result.stdout)["items"]] == [False, True]
