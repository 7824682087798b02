from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml import dataset, evaluate, train
from ml.components.spec_errors import InvalidSpec
from ml.datasets.protocol import MissingFile, UnusableFile, data_folder
from ml.datasets.tables.image_table import ImageTable, tables_folder
from ml.datasets.tables.importing import import_table
from ml.experiments.experiment import parse_experiment
from ml.spec.identity import train_id
from ml.spec.run_spec import RunSpec
from tests.ml.datasets.tables.image_files import csv_of, folder_of, picture

NAMES = [f"{k:02}.png" for k in range(40)]
TRAINING = {"steps": 3, "batch_size": 8}
SPEC: dict[str, Any] = {
    "objective": "beta_vae",
    "model": {"name": "mlp", "latent_dim": 3},
    "training": TRAINING,
}


@pytest.fixture(autouse=True)
def in_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEDDLE_DATA", str(tmp_path))
    folder_of(tmp_path / "faces", NAMES)
    rows = [("file", "size", "x"), *((name, k % 2, k / 7) for k, name in enumerate(NAMES))]
    csv_of(tmp_path / "labels.csv", rows)


def faces(**params: Any) -> dict[str, Any]:
    return {"name": "image_table", "path": "faces", "factors": "labels.csv", **params}


def component(**params: Any) -> ImageTable:
    return ImageTable.model_validate({"name": "image_table", **params})


def test_images_in_the_data_folder_are_imported_once_and_mapped() -> None:
    chosen = component(path="faces", factors="labels.csv")
    assert chosen.image_shape() == (16, 16, 3) and chosen.known_factors() is None
    done: list[tuple[int, int]] = []
    data = chosen.open(lambda *one: done.append(one))
    assert done == [(40, 40)] and data.factor_kinds == ("discrete", "continuous")
    again = chosen.open(lambda *one: done.append(one))
    assert len(done) == 1 and again.source == data.source
    np.testing.assert_array_equal(again.images([7])[0], picture(7))
    known = chosen.known_factors()
    assert known is not None and known["size"].size == 2 and known["x"].kind == "continuous"


def test_changed_files_are_other_data() -> None:
    before = train_id(RunSpec.parse({"dataset": faces(), **SPEC}))
    first = dataset("image_table", path="faces", factors="labels.csv")
    table = data_folder() / "labels.csv"
    table.write_text(table.read_text().replace("00.png,0", "00.png,1"))
    assert train_id(RunSpec.parse({"dataset": faces(), **SPEC})) != before
    second = dataset("image_table", path="faces", factors="labels.csv")
    assert (first.factors([0])[0, 0], second.factors([0])[0, 0]) == (0, 1)  # type: ignore[index]
    (data_folder() / "faces/00.png").unlink()
    assert len(dataset("image_table", path="faces", factors="labels.csv")) == 39


def test_a_stored_table_is_opened_by_its_digest_under_its_name() -> None:
    about = import_table(
        data_folder() / "faces", data_folder() / "labels.csv", into=tables_folder()
    )
    chosen = component(stored=about.digest, called="faces")
    assert (chosen.known_as, chosen.image_shape()) == ("faces", (16, 16, 3))
    assert chosen.open().name == "faces"
    # The name is not what the numbers depend on.
    assert chosen.identity() == component(stored=about.digest, called="people").identity()
    larger = component(stored=about.digest, resize=32)
    assert larger.image_shape() == (32, 32, 3) and larger.identity() != chosen.identity()
    data = larger.open()
    assert data.images([0]).shape == (1, 32, 32, 3) and data.factor_names == ("size", "x")


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({}, "path must name the images"),
        ({"path": "faces", "stored": "0" * 64}, "path or stored"),
        ({"stored": "abc"}, "match"),
        ({"stored": "0" * 64, "factors": "labels.csv"}, "no factors, which was decided"),
        ({"path": "../faces"}, "stays in it"),
        ({"path": "nowhere"}, "there is no file"),
        ({"path": "faces", "factors": "nowhere.csv"}, "there is no file"),
        ({"stored": "0" * 64}, "HEDDLE_DATA must be the same folder"),
        ({"path": "labels.csv"}, "a folder, a zip archive"),
        ({"path": "faces", "resize": 500}, "128"),
    ],
)
def test_a_spec_that_names_no_usable_images_is_refused(params: dict[str, Any], said: str) -> None:
    spec = {"dataset": {"name": "image_table", **params}, **SPEC}
    with pytest.raises(InvalidSpec) as refused:
        parse_experiment(spec, remote=True)
    assert said in str(refused.value)
    assert all(fault.path.startswith("dataset") for fault in refused.value.faults)


def test_damaged_and_missing_files_are_named_when_they_are_opened() -> None:
    chosen = component(path="faces", factors="labels.csv")
    (data_folder() / "labels.csv").write_text("file,size\n")
    with pytest.raises(UnusableFile, match="one for each image"):
        chosen.open()
    shutil.rmtree(data_folder() / "faces")
    with pytest.raises(MissingFile, match="faces"):
        chosen.open()
    about = import_table(folder_of(data_folder() / "b", NAMES), into=tables_folder())
    (tables_folder() / about.digest / "images.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(UnusableFile, match="damaged"):
        component(stored=about.digest).open()


def test_a_model_is_trained_and_scored_on_labelled_images() -> None:
    # Five images lose a label; they are trained on and not scored by it.
    table = data_folder() / "labels.csv"
    lines = table.read_text().splitlines()
    lines[1:6] = [line.replace(",0,", ",,").replace(",1,", ",,") for line in lines[1:6]]
    table.write_text("\n".join(lines))
    data = dataset("image_table", path="faces", factors="labels.csv")
    model = train({"dataset": faces(), **SPEC}, data=data)
    metrics = ["mig", {"name": "dci", "predictor": "lasso"}, "elbo"]
    found = {one.name: one for one in evaluate(model, data, metrics, uncertainty=False)}
    assert found["mig"].rows + 0 <= 35 and found["elbo"].value is not None
    assert found["mig"].error is None or "x" in found["mig"].error


def test_without_factors_what_needs_none_is_scored_and_the_rest_says_why() -> None:
    data = dataset("image_table", path="faces")
    assert data.factor_names == ()
    model = train({"dataset": {"name": "image_table", "path": "faces"}, **SPEC}, data=data)
    found = {one.name: one for one in evaluate(model, data, ["mig", "elbo"], uncertainty=False)}
    assert found["elbo"].value is not None and found["mig"].value is None
    assert "factor" in (found["mig"].error or "")
