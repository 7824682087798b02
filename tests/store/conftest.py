from __future__ import annotations

from pathlib import Path

import pytest

from store.database.connection import Database
from store.files.objects import ObjectFolder
from tests.store.lab import Lab

# Its laws are asserts, which are to say what they compared.
pytest.register_assert_rewrite("tests.store.machine")


@pytest.fixture
def lab(database: Database) -> Lab:
    return Lab(database)


@pytest.fixture
def objects(tmp_path: Path) -> ObjectFolder:
    return ObjectFolder(tmp_path / "objects")
