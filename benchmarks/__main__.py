"""Runs the benchmarks and writes what they measured to one record, and its tables to the page.

Each script is a process of its own. Its figures are put into the record as soon as it ends, with
the machine, the versions and the commit, so that Ctrl-C loses nothing but what runs. Slow scripts
are run by their names or with --all.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import _compare, _page, _runs
from benchmarks._machine import ROOT

RECORD = ROOT / "docs" / "benchmarks.json"
QUICK_RECORD = ROOT / ".heddle" / "benchmarks-quick.json"
# A file has no width of its own.
CONSOLE = Console(width=None if sys.stdout.isatty() else 150, soft_wrap=True, highlight=False)


def parsed(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./run bench",
        description=__doc__,
        epilog="by name or with --all: "
        + "; ".join(f"{name} ({why})" for name, why in _runs.BY_NAME.items()),
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="scripts of benchmarks/")
    parser.add_argument("--quick", action="store_true", help="the quick ones: five minutes")
    parser.add_argument("--all", action="store_true", help="the slow ones as well")
    parser.add_argument("--list", action="store_true", help="print the names, and run nothing")
    parser.add_argument("--no-run", action="store_true", help="use what the record has")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="the record (default docs/benchmarks.json, from which docs/benchmarks.md is written;"
        " with --quick .heddle/benchmarks-quick.json)",
    )
    parser.add_argument("--compare", type=Path, metavar="OLD.json", help="with another record")
    parser.add_argument(
        "--fail-on-worse", action="store_true", help="exit with 1 if --compare finds a worse figure"
    )
    arguments = parser.parse_args(given)
    known = _runs.scripts()
    if unknown := [name for name in arguments.names if name not in known]:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(known)}")
    arguments.out = arguments.out or (QUICK_RECORD if arguments.quick else RECORD)
    if arguments.quick and arguments.out.resolve() == RECORD:
        parser.error("figures of a quick run do not belong in docs/benchmarks.json: choose --out")
    if arguments.compare and not arguments.compare.exists():
        parser.error(f"{arguments.compare}: no such file")
    return arguments


def measure(names: Sequence[str], *, quick: bool, out: Path) -> tuple[list[str], list[str], bool]:
    """Run the scripts. Returns those that ended well, those that failed, and if Ctrl-C ended it."""
    done: list[str] = []
    failed: list[str] = []
    began = time.monotonic()
    for number, name in enumerate(names, start=1):
        so_far = time.monotonic() - began
        CONSOLE.print(f"[bold]{name}[/] ({number} of {len(names)}), {so_far:.0f} s so far")
        with CONSOLE.status(name) as status:

            def waiting(seconds: float, name: str = name, status: Any = status) -> None:
                status.update(f"{name}: {seconds:.0f} s")

            try:
                entry = _runs.run(name, quick=quick, waiting=waiting)
            except _runs.NotRun as error:
                failed.append(name)
                CONSOLE.print(f"[red]{name} failed:[/] ", end="")
                CONSOLE.print(str(error), markup=False)
                continue
            except KeyboardInterrupt:
                CONSOLE.print(f"stopped in {name}; what was measured before is kept")
                return done, failed, True
        _runs.keep(out, entry)
        done.append(name)
        CONSOLE.print(f"{entry.markdown()}\n\n{entry.document['seconds']:.0f} s\n", markup=False)
    return done, failed, False


def compare(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Print the figures that both have. Returns whether one is worse."""
    found: list[_compare.Change] = []
    for name, entry in new["benchmarks"].items():
        before = old["benchmarks"].get(name)
        if before is None:
            continue
        if before["quick"] != entry["quick"]:
            CONSOLE.print(f"{name}: one was quick and the other not, so they do not compare")
            continue
        if apart := _compare.differences(before, entry):
            CONSOLE.print(
                f"{name}: only ratios to an alternative compare, as the figures are of another"
                f" machine or of other versions ({'; '.join(apart)})",
                markup=False,
            )
        for table in _compare.other_work(before, entry):
            CONSOLE.print(f"{table}: the commands differ in more than rounds", markup=False)
        found += _compare.changes(before, entry)
    if found:
        CONSOLE.print(_compare.shown(found))
    counts = {verdict: sum(one.verdict == verdict for one in found) for verdict in _VERDICTS}
    CONSOLE.print(f"{len(found)} figures: " + ", ".join(f"{n} {v}" for v, n in counts.items() if n))
    return counts["worse"] > 0


_VERDICTS: tuple[_compare.Verdict, ...] = (
    "better",
    "worse",
    "within the spread",
    "one round",
    "no direction",
)


def main(given: Sequence[str] | None = None) -> int:
    arguments = parsed(given)
    names = arguments.names or _runs.chosen(quick=arguments.quick, every=arguments.all)
    if arguments.list:
        for name in names:
            print(name)
        return 0
    # It is read first, as it may be the file that is written.
    old = _runs.read(arguments.compare) if arguments.compare else None
    failed: list[str] = []
    stopped = False
    if not arguments.no_run:
        # Of the others the record has former figures, which say nothing of what was run now.
        names, failed, stopped = measure(names, quick=arguments.quick, out=arguments.out)
    record = _runs.read(arguments.out)
    if arguments.out.resolve() == RECORD:
        page = _page.PAGE.read_text(encoding="utf-8")
        _page.PAGE.write_text(_page.written(page, record), encoding="utf-8")
    if arguments.out.exists():
        CONSOLE.print(f"the record is {arguments.out}")
    worse = False
    if old is not None:
        if arguments.no_run and not arguments.names:
            names = list(record["benchmarks"])
        asked = {name: entry for name, entry in record["benchmarks"].items() if name in names}
        worse = compare(old, {**record, "benchmarks": asked})
    if failed:
        CONSOLE.print(f"[red]failed: {', '.join(failed)}[/]")
    if stopped:
        return 130
    return int(bool(failed) or (worse and arguments.fail_on_worse))


if __name__ == "__main__":
    raise SystemExit(main())
