"""Running benchmarks into a record."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks import _machine, _runs

GOOD = """
from benchmarks.record import Figure, Row, Table, parser, publish
if __name__ == "__main__":
    given = parser(None).parse_args()
    values = [1.0] if given.quick else [1.0, 2.0]
    row = Row([], {"took": Figure(values, "s", "less")})
    publish([Table("NAME", "python -m benchmarks.NAME", [], [row])], given)
"""
BAD = """
if __name__ == "__main__":
    raise SystemExit('no broker was found')
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of three scripts, of which the second fails, in the place of our benchmarks."""
    made = tmp_path / "benchmarks"
    made.mkdir()
    for name in ("first", "third"):
        (made / f"{name}.py").write_text(GOOD.replace("NAME", name))
    (made / "second.py").write_text(BAD)
    (made / "record.py").write_text(Path(_runs.FOLDER, "record.py").read_text())
    monkeypatch.setattr(_runs, "FOLDER", made)
    monkeypatch.setattr(_machine, "ROOT", tmp_path)
    return made


def test_scripts_run_on_after_one_that_fails(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "record.json"
    assert command.main(["--out", str(out)]) == 1
    said = capsys.readouterr().out
    assert "second (2 of 3)" in said and "no broker was found" in said
    assert "failed: second" in said
    record = json.loads(out.read_text())
    assert list(record["benchmarks"]) == ["first", "third"]
    entry = record["benchmarks"]["third"]
    assert entry["command"] == "python -m benchmarks.third"
    assert entry["versions"]["python"] == sys.version.split()[0]
    assert entry["commit"] is None  # The folder is no checkout.
    assert entry["hardware"]["cores"] >= 1
    assert entry["tables"][0]["rows"][0]["figures"]["took"]["spread"] == [1.0, 2.0]


def test_a_benchmark_measured_by_itself_leaves_the_others_as_they_are(
    folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "record.json"
    assert command.main(["third", "--out", str(out)]) == 0
    before = json.loads(out.read_text())["benchmarks"]["third"]
    assert command.main(["first", "--quick", "--out", str(out)]) == 0
    record = json.loads(out.read_text())["benchmarks"]
    assert record["third"] == before
    assert record["first"]["quick"] is True
    assert record["first"]["tables"][0]["rows"][0]["figures"]["took"]["values"] == [1.0]


def test_former_figures_of_a_script_that_fails_are_not_compared(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, old = tmp_path / "record.json", tmp_path / "old.json"
    assert command.main(["third", "--out", str(out)]) == 0
    old.write_text(out.read_text())
    (folder / "third.py").write_text(BAD)
    capsys.readouterr()
    assert command.main(["first", "third", "--out", str(out), "--compare", str(old)]) == 1
    said = capsys.readouterr().out
    assert "failed: third" in said and "0 figures" in said


def test_a_script_is_run_with_its_settings(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "first.py").write_text("import os\nassert os.environ['THREADS'] == '1'\n" + GOOD)
    out = tmp_path / "record.json"
    assert command.main(["first", "--out", str(out)]) == 1
    monkeypatch.setattr(_runs, "ENVIRONMENT", {"first": {"THREADS": "1"}})
    assert command.main(["first", "--out", str(out)]) == 0
    entry = json.loads(out.read_text())["benchmarks"]["first"]
    assert entry["command"] == "THREADS=1 python -m benchmarks.first"


def test_ctrl_c_keeps_what_was_measured(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, out = _runs.run, tmp_path / "record.json"

    def stopped(name: str, **options: object) -> _runs.Entry:
        if name == "third":
            raise KeyboardInterrupt
        return run(name, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(_runs, "run", stopped)
    assert command.main(["first", "third", "--out", str(out)]) == 130
    assert list(json.loads(out.read_text())["benchmarks"]) == ["first"]


def test_an_unknown_benchmark_is_refused_with_those_that_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        command.main(["peer"])
    assert "no benchmark peer; there are " in capsys.readouterr().err


def test_quick_figures_do_not_go_into_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--quick", "--out", str(command.RECORD)])
    assert "do not belong in docs/benchmarks.json" in capsys.readouterr().err


def test_a_file_that_is_no_record_is_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "notes.json"
    file.write_text("{}")
    with pytest.raises(ValueError, match="is no record of benchmarks"):
        _runs.read(file)


def test_the_scripts_that_are_chosen_by_name_exist() -> None:
    known = set(_runs.scripts())
    assert {*_runs.BY_NAME, *_runs.QUICK} <= known
    assert {*_runs.ENVIRONMENT} <= known
    assert not {*_runs.BY_NAME} & {*_runs.QUICK}
    assert _runs.chosen(quick=False, every=True) == sorted(known)
