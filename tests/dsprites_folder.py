"""A data folder with dSprites rendered into it, once for all tests of a session."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ml.datasets.protocol import dataset


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder that HEDDLE_DATA names for the rest of the session; it takes 377 MB."""
    folder = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEDDLE_DATA", str(folder))
        dataset("dsprites")
        yield folder
    # pytest would keep the folders of the last three sessions.
    shutil.rmtree(folder)
