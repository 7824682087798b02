"""Running the scripts of this folder, each as a process of its own, into one record."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import _machine
from benchmarks.record import table_from_json
from heddle.service.service import KEEP_FREED

FOLDER = Path(__file__).parent
FORMAT = 1
GUARD = 'if __name__ == "__main__":'

BY_NAME = {
    "broker_restarts": "ten minutes of waiting for brokers",
    "interval_coverage": "hours",
    "population": "a quarter of an hour",
    "protocol_suite": "ten minutes",
    "starts": "ten minutes of training",
    "weak_supervision": "hours",
}
"""Scripts that are run only by their names or with `--all`, and why."""

QUICK = (
    "render_dsprites",
    "worlds",
    "gradient_boosting",
    "metrics",
    "fair_share",
    "starting",
    "peers",
    "posting",
    "reading",
)
"""Scripts of `--quick`, which takes five minutes on two cores: 213 CPU seconds in all."""

ENVIRONMENT: Mapping[str, Mapping[str, str]] = {
    "cohorts": KEEP_FREED,
    "evaluating": {"OMP_NUM_THREADS": "1"},
    "metrics": {"OMP_NUM_THREADS": "1"},
    "protocol_suite": {"OMP_NUM_THREADS": "1"},
}
"""Settings that some scripts are run with."""

STOP_SECONDS = 60.0
"""What a script is given to end by itself when it is stopped."""


class NotRun(RuntimeError):
    """A script ended with an error, or said nothing."""


@dataclass(frozen=True)
class Entry:
    """What a script measured, and with what: an entry of the record."""

    name: str
    document: Mapping[str, Any]

    def markdown(self) -> str:
        tables = [table_from_json(table) for table in self.document["tables"]]
        return "\n\n".join(f"`{table.command}`\n\n{table.markdown()}" for table in tables)


def scripts() -> list[str]:
    """The names of all scripts: what can be run. Other files are shared by them."""
    return sorted(
        path.stem
        for path in FOLDER.glob("*.py")
        if not path.stem.startswith("_") and GUARD in path.read_text(encoding="utf-8")
    )


def chosen(*, quick: bool, every: bool) -> list[str]:
    """The scripts that are run when none is named."""
    if quick:
        return list(QUICK)
    return [name for name in scripts() if every or name not in BY_NAME]


def run(name: str, *, quick: bool, waiting: Callable[[float], None]) -> Entry:
    """Run a script and read its tables. `waiting` is told the seconds so far, about once a second.

    Raises:
        NotRun: it ended with an error; the message has the end of what it said.
        KeyboardInterrupt: it was stopped. The script has ended.
    """
    load, date, began = _machine.load(), datetime.now(UTC), time.monotonic()
    commit = _machine.commit()
    with tempfile.TemporaryDirectory() as folder:
        tables, said = Path(folder, "tables.json"), Path(folder, "said.txt")
        arguments = ["--quick"] if quick else []
        settings = ENVIRONMENT.get(name, {})
        with (
            said.open("w") as output,
            subprocess.Popen(
                [sys.executable, "-m", f"benchmarks.{name}", "--json", str(tables), *arguments],
                cwd=_machine.ROOT,
                # They must find this folder from processes that they start, too.
                env={**os.environ, "PYTHONPATH": str(_machine.ROOT), **settings},
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            ) as process,
        ):
            try:
                while process.poll() is None:
                    waiting(time.monotonic() - began)
                    _wait(process, 1.0)
            finally:
                _end(process)
        if process.returncode or not tables.exists():
            end = said.read_text(errors="replace").strip()[-2000:]
            raise NotRun(f"it ended with {process.returncode}:\n{end}")
        found = json.loads(tables.read_text())
    listed = [f"{variable}={value}" for variable, value in settings.items()]
    document = {
        "command": " ".join([*listed, "python", "-m", f"benchmarks.{name}", *arguments]),
        "quick": quick,
        "hardware": _machine.hardware(),
        "versions": _machine.versions(),
        "commit": commit,
        "date": date.isoformat(timespec="seconds"),
        "load": load,
        "seconds": round(time.monotonic() - began, 1),
        "tables": found,
    }
    return Entry(name, document)


def _wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def _end(process: subprocess.Popen[bytes]) -> None:
    """See a script end. A terminal's Ctrl-C has reached it as well, and it may have services."""
    if process.poll() is None:
        _wait(process, STOP_SECONDS)
    if process.poll() is None:
        process.kill()


def read(file: Path) -> dict[str, Any]:
    """The record in a file, empty if there is none yet.

    Raises:
        ValueError: the file is no record.
    """
    if not file.exists():
        return {"format": FORMAT, "benchmarks": {}}
    record = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise ValueError(f"{file} is no record of benchmarks")
    return record


def keep(file: Path, entry: Entry) -> dict[str, Any]:
    """Put an entry in the place of the script's former one, and return the record."""
    record = read(file)
    record["benchmarks"][entry.name] = entry.document
    record["benchmarks"] = dict(sorted(record["benchmarks"].items()))
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_suffix(".new")
    new.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    new.replace(file)
    return record
