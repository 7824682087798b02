"""When waiting runs are forecast to start, against when they do, on a real service.

A service as `heddle up` starts it trains one run, which measures the machine. Then two owners post
runs of many lengths at once. The forecasts of all waiting runs are read at once and halfway
through. When all runs have started, the forecasts are compared with the real times.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

from heddle.client.client import Client
from heddle.service.serving import serving

LENGTHS = (400, 900, 300, 700, 500, 1000, 600, 800)


@dataclass(frozen=True)
class Forecast:
    """The forecast of one waiting run."""

    run_id: str
    #: Unix seconds.
    at: float
    starts_in: float


def spec(steps: int, seed: int) -> dict[str, Any]:
    return {
        "dataset": "dsprites",
        "model": "burgess",
        "objective": {"name": "beta_vae", "beta": 4},
        "seed": seed,
        "training": {"steps": steps, "batch_size": 32},
        "evaluation": {"metrics": ["mig"], "rows": 1000, "test_rows": 200, "uncertainty": False},
        "traversal": {"frames": 3},
    }


def forecasts(client: Client) -> list[Forecast]:
    """The forecast of every waiting run now."""
    at = time.time()
    items = client.iterate("/v1/runs", state="queued")
    return [
        Forecast(item["id"], at, item["waiting"]["starts_in_seconds"])
        for item in items
        if item["waiting"] and item["waiting"]["starts_in_seconds"] is not None
    ]


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=len(LENGTHS))
    parser.add_argument("--scale", type=float, default=1.0, help="of all numbers of steps")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder), None) as url:
        owners = [Client(url, user=name) for name in ("ada", "bo")]
        owners[0].submit(spec(int(500 * given.scale), 1000)).wait()
        lengths = [int(LENGTHS[k % len(LENGTHS)] * given.scale) for k in range(given.runs)]
        posted = [
            owners[k % 2].submit(spec(steps, k)).runs()[0].id for k, steps in enumerate(lengths)
        ]
        asked = [("when posted", forecasts(owners[0]))]
        runs = [owners[0].run(run_id) for run_id in posted]
        while sum(run.refresh().state in ("queued", "training") for run in runs) > len(runs) // 2:
            time.sleep(1.0)
        asked.append(("halfway", forecasts(owners[0])))
        while any(run.refresh().document["started_at"] is None for run in runs):
            time.sleep(1.0)
        started = {run.id: moment(run.document["started_at"]) for run in runs}
        for client in owners:
            client.close()
    table = Table("asked", "run", "forecast: starts in s", "came after s", "off by", box=MARKDOWN)
    off: list[float] = []
    for when, answers in asked:
        for one in sorted(answers, key=lambda one: one.starts_in):
            came = started[one.run_id] - one.at
            off.append(abs(one.starts_in - came) / came)
            steps = lengths[posted.index(one.run_id)]
            table.add_row(
                when,
                f"{steps} steps",
                f"{one.starts_in:.1f}",
                f"{came:.1f}",
                f"{(one.starts_in - came) / came:+.0%}",
            )
    console = Console(width=100)
    console.print(table)
    console.print(
        f"{len(off)} estimates; off by {statistics.median(off):.0%} in the median and"
        f" {max(off):.0%} at most"
    )


if __name__ == "__main__":
    main()
