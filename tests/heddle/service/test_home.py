from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from heddle.cli.main import main
from heddle.errors import HomeUnusable
from heddle.service.home import private_home


def modes(home: Path) -> dict[str, int]:
    return {
        str(path.relative_to(home)): stat.S_IMODE(path.stat().st_mode)
        for path in [home, *home.rglob("*")]
    }


def test_a_home_and_what_is_written_in_it_are_for_their_owner_alone(tmp_path: Path) -> None:
    with private_home(tmp_path / "new" / "home") as home:
        (home / "file").write_text("private")
    assert modes(home) == {".": 0o700, "logs": 0o700, "file": 0o600}


def test_a_home_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home").chmod(0o755)
    with private_home(tmp_path / "home"):
        assert modes(tmp_path / "home")["."] == 0o700


def test_the_callers_umask_is_as_it_was(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with private_home(tmp_path / "home"):
            pass
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)


def test_a_home_that_cannot_be_made_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeUnusable), private_home(tmp_path / "file" / "home"):
        pass
    told = CliRunner().invoke(main, ["up", "--home", str(tmp_path / "file" / "home")])
    assert told.exit_code == 1
    assert told.output == (
        f"Error: The home folder {tmp_path / 'file' / 'home'} cannot be used: Not a directory."
        " Make it one that this user may write, or give another by --home or HEDDLE_HOME.\n"
    )
