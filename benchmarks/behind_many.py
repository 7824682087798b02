"""How long lists, the queue, a dry run and a study's results take beside ten thousand runs.

The script writes 10,000 ended runs with six scores each, and as many waiting runs, straight into
the database. The API serves them in a thread of this process, so clients and server share its
lock. The table has the median and the slowest of a few requests, one after the other, and how long
five clients waited that asked for all results as CSV at once.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click
import httpx
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table
from sqlalchemy import select

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.posting import database
from ml.spec.run_spec import RunSpec
from store.database.connection import Database, migrate
from store.database.rows import insert_rows
from store.database.tables import Evaluation, Score
from store.settings import Settings
from store.states import EvaluationState, RunState
from tests.api.served import served
from tests.api.service import scores
from tests.store.crowd import Place, crowd

SPEC = RunSpec.parse({"dataset": "digits", "objective": "beta_vae"}).document()
NAMES = ("mig", "a", "b", "c", "d", "e")
CLIENTS = 5

Ask = Callable[[httpx.Client], httpx.Response]


def fill(url: str, runs: int) -> str:
    """Store ended runs and waiting runs; returns the experiment of the ended ones."""
    stored = Database(url)
    done = Place(RunState.SUCCEEDED, EvaluationState.SUCCEEDED)
    waiting = Place(RunState.QUEUED, EvaluationState.QUEUED)
    [ended] = crowd(stored, [[done] * runs], SPEC)
    with stored.write() as session:
        [document, *_] = scores()
        made = session.execute(select(Evaluation.id, Evaluation.run_id)).all()
        rows = [
            {
                "run_id": run,
                "evaluation_id": id,
                "position": at,
                "document": document | {"name": name},
            }
            for id, run in made
            for at, name in enumerate(NAMES)
        ]
        insert_rows(session, Score, rows)
    crowd(stored, [[waiting] * runs], SPEC)
    stored.dispose()
    return ended


def asked(experiment: str) -> dict[str, Ask]:
    """Requests by their names in the table."""

    def listed(path: str) -> Ask:
        return lambda client: client.get(path)

    body: dict[str, Any] = {"dataset": "digits", "objective": "vae"}
    return {
        "`runs?state=failed&limit=1`": listed("/v1/runs?state=failed&limit=1"),
        "`experiments?state=failed&limit=1`": listed("/v1/experiments?state=failed&limit=1"),
        "`queue`": listed("/v1/queue"),
        "dry run of one run": lambda client: client.post("/v1/experiments?dry_run=true", json=body),
        f"all results as CSV, {CLIENTS} clients at once": listed(
            f"/v1/experiments/{experiment}/results?format=csv"
        ),
    }


def seconds(ask: Ask, base: str) -> float:
    """Seconds of one request, which must succeed."""
    with httpx.Client(base_url=base, timeout=600, trust_env=False) as client:
        began = time.perf_counter()
        ask(client).raise_for_status()
        return time.perf_counter() - began


@click.command()
@click.option("--runs", default=10_000, show_default=True, type=click.IntRange(1, 10_000))
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1))
def main(runs: int, rounds: int) -> None:
    """Print a table for both databases."""
    table = Table("database", "request", "median, s", "slowest, s", box=MARKDOWN)
    for kind in ("sqlite", "postgresql"):
        with tempfile.TemporaryDirectory() as folder, database(kind, Path(folder)) as url:
            migrate(url)
            experiment = fill(url, runs)
            with served(Settings(home=Path(folder), database_url=url)) as base:
                for name, ask in asked(experiment).items():
                    together = CLIENTS if "at once" in name else 1
                    with ThreadPoolExecutor(together) as pool:
                        took = list(pool.map(seconds, [ask] * rounds, [base] * rounds))
                    cells = (f"{value:.3f}" for value in (statistics.median(took), max(took)))
                    table.add_row(kind, name, *cells)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
