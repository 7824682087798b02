"""Figures and tables of benchmarks."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from benchmarks.record import Figure, Row, Table, parser, publish, rounds, table_from_json

OURS = Figure([30.0, 10.0, 20.0], "images/s", "more", places=0)
THEIRS = Figure([10.0, 10.0, 5.0], "images/s", "more", places=0)
TABLE = Table(
    "training float32",
    "python -m benchmarks.training",
    ["batch"],
    [
        Row(["64"], {"ours": OURS.beside(THEIRS), "over theirs": OURS.per(THEIRS)}),
        Row(["256"], {"ours": None, "over theirs": "no room"}),
    ],
)


def test_a_figure_reads_as_its_median_with_the_extreme_rounds() -> None:
    assert str(OURS) == "20 (10 to 30)"
    assert str(Figure([1234.5], "ms")) == "1,234.5"


def test_a_ratio_is_taken_round_by_round() -> None:
    assert OURS.per(THEIRS).values == [3.0, 1.0, 4.0]
    assert OURS.per(THEIRS).unit == "times"


def test_what_was_not_measured_says_so() -> None:
    assert TABLE.markdown().splitlines() == [
        "| batch | ours, images/s | over theirs, times |",
        "| --- | ---: | ---: |",
        "| 64 | 20 (10 to 30) | 3.00 (1.00 to 4.00) |",
        "| 256 | not measured | no room |",
    ]


def test_a_table_comes_back_from_the_file_that_it_was_written_to(tmp_path: Path) -> None:
    file = tmp_path / "tables.json"
    publish([TABLE], argparse.Namespace(json=file))
    [document] = json.loads(file.read_text())
    assert table_from_json(document) == TABLE
    ours = document["rows"][0]["figures"]["ours"]
    assert (ours["median"], ours["spread"], ours["alternative"]) == (20, [10, 30], [10, 10, 5])


def test_measurements_take_turns() -> None:
    order: list[str] = []

    def measure(name: str) -> float:
        order.append(name)
        return float(len(order))

    found = rounds(2, {"a": lambda: measure("a"), "b": lambda: measure("b")})
    assert order == ["a", "b", "a", "b"]
    assert found == {"a": [1.0, 3.0], "b": [2.0, 4.0]}


def test_every_benchmark_takes_quick_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    given = parser("what it measures").parse_args(["--quick"])
    assert given.quick and given.json is None
    publish([TABLE], given)
    assert "`python -m benchmarks.training`" in capsys.readouterr().out
