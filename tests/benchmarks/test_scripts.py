"""Every script of benchmarks/ can be run into the record."""

from __future__ import annotations

import pytest

from benchmarks import _runs


@pytest.mark.parametrize("name", _runs.scripts())
def test_every_benchmark_can_be_recorded(name: str) -> None:
    source = (_runs.FOLDER / f"{name}.py").read_text(encoding="utf-8")
    assert "parser(__doc__)" in source and "publish(" in source, "see docs/how-to/benchmark.md"
