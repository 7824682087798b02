"""Breaks a service in every way there is, and says what it lost: `./run chaos`."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from tests.chaos.fire import LEASE_SECONDS, Plan
from tests.chaos.hammer import Outcome, Outlived, hammer, hammer_textbook

MOST_REPEATED = 0.05
MOST_SECONDS = LEASE_SECONDS + 10


@click.command()
@click.option(
    "--jobs",
    default=200,
    show_default=True,
    help="Jobs: trainings, their evaluations, others once more, and files'.",
)
@click.option("--kills", default=50, show_default=True, help="Workers killed or stopped.")
@click.option("--seed", default=0, show_default=True, help="Of the specs and of the harm.")
@click.option(
    "--database",
    default="postgresql",
    show_default=True,
    type=click.Choice(["postgresql", "sqlite"]),
)
@click.option(
    "--textbook", is_flag=True, help="Then the same with jobs as messages, acknowledged late."
)
@click.option("--keep", is_flag=True, help="Leave the homes with their logs.")
def main(jobs: int, kills: int, seed: int, database: str, textbook: bool, keep: bool) -> None:
    """Run small jobs while workers, Redis, PostgreSQL and the API are killed; compare all bits.

    Exits with 1 if anything that is promised does not hold.
    """
    others = jobs // 10
    plan = Plan(
        runs=(jobs - 2 * others) // 2,
        again=others,
        files=others,
        kills=kills,
        postgresql=database == "postgresql",
        seed=seed,
    )
    log = Console(stderr=True, log_path=False)

    def say(line: str) -> None:
        log.log(line, highlight=False)

    with _home(log, keep=keep) as home:
        outlived = hammer(home, plan, say)
    other = None
    if textbook:
        with _home(log, keep=keep) as home:
            other = hammer_textbook(home, plan, say)
    Console().print(_table(plan, outlived, other))
    verdict = outlived.verdict
    if (
        outlived.lost
        or outlived.twice
        or verdict.wrong
        or verdict.gone
        or outlived.left
        or outlived.repeated > MOST_REPEATED
        or _longest(outlived) > MOST_SECONDS
    ):
        raise SystemExit(1)


def _longest(outlived: Outlived) -> float:
    return max((recovery.seconds for recovery in outlived.recoveries), default=0.0)


@contextmanager
def _home(log: Console, *, keep: bool) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="heddle-chaos-"))
    try:
        yield folder / "home"
    finally:
        if keep:
            log.print(f"The home is {folder / 'home'}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _table(plan: Plan, outlived: Outlived, textbook: Outcome | None) -> Table:
    """What was done, and what came of it beside what is promised."""
    table = Table("", "Heddle", "promised", "late acknowledgement")

    def row(name: str, found: object, promised: str = "", other: object = "") -> None:
        table.add_row(name, str(found), promised, str(other) if textbook else "not run")

    theirs = textbook or Outcome(0, 0, 0.0, outlived.harms, 0.0)
    for name in sorted(outlived.harms | theirs.harms):
        row(name, outlived.harms[name], "", theirs.harms[name])
    row("jobs", plan.jobs, "", plan.jobs)
    row("jobs lost", outlived.lost, "0", theirs.lost)
    row("done twice", outlived.twice, "0", theirs.twice)
    row("with wrong bits", outlived.verdict.wrong, "0")
    row("artifacts gone or damaged", outlived.verdict.gone, "0")
    row("files left when all is deleted", outlived.left, "0")
    row("runs that went on at another width", outlived.verdict.moved)
    row(
        "work repeated",
        f"{outlived.repeated:.1%}",
        f"{MOST_REPEATED:.0%}",
        f"{theirs.repeated:.1%}",
    )
    row("jobs taken over", len(outlived.recoveries))
    row("longest recovery", f"{_longest(outlived):.1f} s", f"{MOST_SECONDS:g} s")
    longest = max((recovery.in_all for recovery in outlived.recoveries), default=0.0)
    row("longest until another worker had it", f"{longest:.1f} s")
    row("seconds", f"{outlived.seconds:.0f}", "", f"{theirs.seconds:.0f}")
    return table


if __name__ == "__main__":
    main()
