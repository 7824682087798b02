"""The README of a run on an uploaded data set."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ml import train
from ml.datasets.tables.image_table import ImageTable, tables_folder
from ml.datasets.tables.importing import import_table
from ml.export.run_readme import _data
from tests.ml.datasets.tables.image_files import csv_of, folder_of


def test_the_readme_names_the_data_set_and_what_is_odd_about_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEDDLE_DATA", str(tmp_path))
    names = [f"{k}.png" for k in range(10)]
    rows = [("file", "size", "x"), *((name, k % 2, k / 7) for k, name in enumerate(names[:8]))]
    table = csv_of(tmp_path / "labels.csv", rows)
    about = import_table(folder_of(tmp_path / "faces", names), table, into=tables_folder())
    spec = {
        "dataset": {"name": "image_table", "stored": about.digest, "called": "faces"},
        "objective": "vae",
        "model": {"name": "mlp", "latent_dim": 2},
        "training": {"steps": 1, "batch_size": 2},
    }
    model = train(spec)
    page = _data(model, model.spec.dataset.open())
    assert "The images are the data set faces, which was uploaded." in page
    assert "size (2), x (continuous)" in page
    assert "2 images have no row, as 8.png" in page.replace("\\", "")
    assert about.digest in page
    # Without a name it is described as any data set is.
    unnamed = model.spec.dataset.model_copy(update={"called": None})
    assert isinstance(unnamed, ImageTable)
    other = replace(model, spec=model.spec.model_copy(update={"dataset": unnamed}))
    assert "which was uploaded" not in _data(other, unnamed.open())
