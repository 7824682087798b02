"""Two records beside each other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks._compare import changes, differences, other_work, verdict
from benchmarks.record import Figure
from tests.benchmarks.records import HARDWARE, VERSIONS, entry, record


def less(*seconds: float) -> Figure:
    return Figure(seconds, "s", "less")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (less(5, 6, 7), less(2, 3, 4), "better"),
        (less(2, 3, 4), less(5, 6, 7), "worse"),
        (less(2, 3, 4), less(4, 6, 7), "within the spread"),
        (less(1, 3, 9), less(4, 5, 6), "within the spread"),
        (less(4, 5, 6), less(1, 3, 9), "within the spread"),
        (less(4, 4, 4), less(4, 4, 4), "within the spread"),
        (less(3), less(9, 9, 9), "one round"),
        # Two rounds that lie apart by less than they spread.
        (less(1, 2), less(2.5, 3.5), "within the spread"),
        (less(1, 2), less(3.5, 4.5), "worse"),
    ],
)
def test_a_verdict_is_given_where_the_rounds_lie_apart(old: Figure, new: Figure, said: str) -> None:
    assert verdict(old, new) == said


def test_more_is_better_where_the_figure_says_so() -> None:
    slow, fast = (Figure(rate, "images/s", "more") for rate in ([1, 2, 3], [7, 8, 9]))
    assert (verdict(slow, fast), verdict(fast, slow)) == ("better", "worse")


def test_a_figure_without_a_direction_has_no_verdict() -> None:
    assert verdict(Figure([1, 2, 3], "MiB"), Figure([7, 8, 9], "MiB")) == "no direction"


def test_a_busier_day_is_not_taken_for_a_slower_program() -> None:
    # All of a day's rounds took twice as long, those of the alternative, too.
    old = entry({"ours": less(1.0, 1.1, 1.2).beside(less(2.0, 2.2, 2.4))})
    new = entry({"ours": less(2.0, 2.2, 2.4).beside(less(4.0, 4.4, 4.8))})
    [change] = changes(old, new)
    assert (change.by, change.verdict) == ("ratios", "within the spread")
    # Ours alone took twice as long.
    new = entry({"ours": less(2.0, 2.2, 2.4).beside(less(2.0, 2.2, 2.4))})
    [change] = changes(old, new)
    assert (change.by, change.verdict) == ("ratios", "worse")


@pytest.mark.parametrize(
    "changed",
    [
        {"hardware": HARDWARE | {"cores": 64}},
        {"hardware": HARDWARE | {"gpu": "A GPU"}},
        {"versions": VERSIONS | {"torch": "2.14.0"}},
    ],
)
def test_on_another_machine_only_ratios_compare(changed: dict[str, object]) -> None:
    slow, fast = less(5, 6, 7), less(1, 2, 3)
    ratio = Figure([2.0, 2.1, 2.2], "times", "more", places=2)
    figures = {"alone": slow, "paired": slow.beside(slow), "over it": ratio}
    now = {"alone": fast, "paired": fast.beside(slow), "over it": ratio}
    assert len(list(changes(entry(figures), entry(now)))) == 3
    found = {one.figure: one for one in changes(entry(figures), entry(now, **changed))}
    assert set(found) == {"sqlite / paired", "sqlite / over it"}
    assert found["sqlite / paired"].verdict == "better"
    assert found["sqlite / over it"].verdict == "within the spread"
    [line] = differences(entry(figures), entry(now, **changed))
    assert ", now " in line


def test_figures_of_one_record_alone_and_of_other_units_are_left_out() -> None:
    old = entry({"a": less(1, 2), "b": less(1, 2), "c": "a remark", "d": None})
    new = entry({"a": Figure([1, 2], "ms", "less"), "c": less(1, 2), "d": less(1, 2)})
    assert list(changes(old, new)) == []


def test_tables_of_other_work_do_not_compare() -> None:
    old, new = (entry({"waited": less(*rounds)}) for rounds in ([1, 2, 3], [7, 8, 9]))
    command = old["tables"][0]["command"]
    old["tables"][0]["command"] = f"{command} --clients 5 --rounds 3"
    new["tables"][0]["command"] = f"{command} --clients 5 --rounds 20"
    assert len(list(changes(old, new))) == 1 and other_work(old, new) == []
    new["tables"][0]["command"] = f"{command} --clients 50 --rounds 3"
    assert list(changes(old, new)) == [] and other_work(old, new) == ["posting"]


def test_an_alternative_that_took_no_time_gives_no_ratio() -> None:
    figure = less(1, 2, 3).beside(less(0, 1, 1))
    [change] = changes(entry({"waited": figure}), entry({"waited": figure}))
    assert (change.by, change.verdict) == ("values", "within the spread")


def _written(file: Path, *seconds: float, quick: bool = False) -> Path:
    file.write_text(json.dumps(record(posting=entry({"waited": less(*seconds)}, quick=quick))))
    return file


def test_the_command_tells_what_became_worse(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = _written(tmp_path / "old.json", 1, 2, 3), _written(tmp_path / "new.json", 7, 8, 9)
    asked = ["--no-run", "--out", str(new), "--compare", str(old)]
    assert command.main(asked) == 0
    said = capsys.readouterr().out
    assert "waited" in said and "worse" in said and "4.00" in said
    assert command.main([*asked, "--fail-on-worse"]) == 1
    asked = ["--no-run", "--out", str(old), "--compare", str(new), "--fail-on-worse"]
    assert command.main(asked) == 0


def test_a_quick_run_is_not_compared_with_a_whole_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = _written(tmp_path / "old.json", 1, 2, 3)
    new = _written(tmp_path / "new.json", 7, 8, 9, quick=True)
    asked = ["--no-run", "--out", str(new), "--compare", str(old), "--fail-on-worse"]
    assert command.main(asked) == 0
    assert "do not compare" in capsys.readouterr().out
