"""The quickstart, with small programs in place of the API and the worker: real processes."""

from __future__ import annotations

import signal
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from heddle.client.spec import read_spec
from tests.heddle.fake_programs import (
    PATIENCE,
    clean_environment,
    free_port,
    processes,
    until,
    write_programs,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def quickstart(folder: Path, *options: str, **environment: str) -> subprocess.Popen[str]:
    write_programs(folder)
    port = str(free_port())
    return subprocess.Popen(
        [sys.executable, "-m", "heddle.quickstart", "--home", "home", "--port", port, *options],
        cwd=folder,
        env=clean_environment(**environment, PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def read_until(process: subprocess.Popen[str], words: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if words in line:
            return
    raise AssertionError(f"{words!r} was not said; {process.communicate()}")


def test_it_shows_scores_fetches_the_picture_and_ends_everything(tmp_path: Path) -> None:
    process = quickstart(tmp_path)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    for words in ("Experiment exp_01", "run_a succeeded", "mig", "0.125", "Done in"):
        assert words in out
    assert "Latent traversal: home/quickstart/traversal.png" in out
    assert "/v1/runs/run_a/traversal.png" in out
    assert (tmp_path / "home" / "quickstart" / "traversal.png").exists()
    assert not processes(tmp_path / "home")


def test_ctrl_c_in_the_middle_ends_everything(tmp_path: Path) -> None:
    process = quickstart(tmp_path, FAKE="training")
    read_until(process, "run_a training")
    assert processes(tmp_path / "home")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert not processes(tmp_path / "home")


def test_kept_it_serves_until_ctrl_c_or_death(tmp_path: Path) -> None:
    process = quickstart(tmp_path, "--keep")
    read_until(process, "Ctrl-C ends it")
    assert processes(tmp_path / "home")
    process.kill()
    process.communicate(timeout=PATIENCE)
    until(lambda: not processes(tmp_path / "home"))


def test_a_home_that_is_served_already_is_told(tmp_path: Path) -> None:
    first = quickstart(tmp_path, "--keep")
    read_until(first, "Ctrl-C ends it")
    second = subprocess.run(
        [sys.executable, "-m", "heddle.quickstart", "--home", "home"],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert second.returncode == 1
    assert "is served already, by process" in second.stderr
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=PATIENCE)
    assert first.returncode == 0


def test_the_packaged_spec_is_a_spec() -> None:
    spec = read_spec(files("heddle").joinpath("quickstart.yaml").read_text())
    assert spec["dataset"]["name"] == "dsprites"
    assert spec["training"]["optimizer"]["learning_rate"] == 1e-3
