from __future__ import annotations

from pathlib import Path

import pytest

from heddle.service import children, log_file
from heddle.service.children import Children, Command


def test_a_long_log_is_put_aside_and_its_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    with log.open("ab", buffering=0) as writer:
        for number in range(4):
            writer.write(b"%d" % number * 11)
            log_file.bound(log, most_bytes=10)
            assert log.read_bytes() == b""
        writer.write(b"short")
        log_file.bound(log, most_bytes=10)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "api.log": "short",
        "api.log.1": "3" * 11,
        "api.log.2": "2" * 11,
    }
    log_file.bound(tmp_path / "absent.log")


def test_the_logs_of_children_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "LOG_SECONDS", 0.0)
    monkeypatch.setattr(log_file, "MOST_BYTES", 10)
    log = tmp_path / "child.log"
    log.write_text("a line of another time\n")
    said: list[str] = []
    running = Children(said.append)
    try:
        running.add(Command("child", ["sleep", "60"], log))
        running.check()
        assert log.read_text() == "" and said == []
        assert (tmp_path / "child.log.1").read_text() == "a line of another time\n"
        # Where it cannot be put aside, work goes on.
        log.write_text("a line of this time\n")
        (tmp_path / "child.log.2").mkdir()
        running.check()
        [line] = said
        assert "child.log cannot be begun anew" in line
    finally:
        running.end(hurried=lambda: True)
