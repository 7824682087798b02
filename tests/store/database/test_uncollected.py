from __future__ import annotations

import gc
import weakref

import pytest

from store.database import uncollected
from store.database.uncollected import uncollected as inside


class Node:
    def __init__(self) -> None:
        self.itself = self


def test_the_collector_pauses_until_nobody_is_inside() -> None:
    with inside():
        with inside():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_cycles_are_freed_also_where_somebody_is_always_inside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with inside():
        left = weakref.ref(Node())
        with inside():
            assert left() is not None
        monkeypatch.setattr(uncollected, "LONGEST_SECONDS", -1.0)
        with inside():
            assert left() is None
            assert not gc.isenabled()
