"""When waiting runs are forecast to start, against when they do, on a real service.

A service as `heddle up` starts it trains one run, which measures the machine. Then two owners post
runs of many lengths at once. The forecasts of all waiting runs are read at once and halfway
through. When all runs have started, the forecasts are compared with the real times.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.record import Figure, Row, Table, parser, publish
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
    made = parser(__doc__)
    made.add_argument("--runs", type=int, help=f"(default {len(LENGTHS)})")
    made.add_argument("--scale", type=float, help="of all numbers of steps (default 1)")
    given = made.parse_args()
    number = given.runs or (3 if given.quick else len(LENGTHS))
    scale = given.scale or (0.05 if given.quick else 1.0)
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder), None) as url:
        owners = [Client(url, user=name) for name in ("ada", "bo")]
        owners[0].submit(spec(int(500 * scale), 1000)).wait()
        lengths = [int(LENGTHS[k % len(LENGTHS)] * scale) for k in range(number)]
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
    rows: list[Row] = []
    off: list[float] = []
    for when, answers in asked:
        for one in sorted(answers, key=lambda one: one.starts_in):
            came = started[one.run_id] - one.at
            off.append(abs(one.starts_in - came) / came)
            figures: dict[str, Figure | str | None] = {
                "forecast to start in": Figure([one.starts_in], "s"),
                "came after": Figure([came], "s"),
                "off by": Figure([100 * (one.starts_in - came) / came], "%", places=0),
            }
            rows.append(Row([when, f"{lengths[posted.index(one.run_id)]} steps"], figures))
    summary = Row(
        [str(len(off))],
        {
            "off by in the median": Figure([100 * statistics.median(off)], "%", "less", places=0),
            "at most": Figure([100 * max(off)], "%", "less", places=0),
        },
    )
    command = f"python -m benchmarks.starts --runs {number} --scale {scale:g}"
    publish(
        [
            Table("starts", command, ["asked", "run"], rows),
            Table("starts summary", command, ["forecasts"], [summary]),
        ],
        given,
    )


if __name__ == "__main__":
    main()
