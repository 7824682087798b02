from __future__ import annotations

import pytest

from store.database import Database
from tests.store.lab import Lab


@pytest.fixture
def lab(database: Database) -> Lab:
    return Lab(database)
