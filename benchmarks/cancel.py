"""How long a cancellation takes in each stage, from the POST to the state, on a whole service.

The service runs as `heddle up` starts it, in a home of its own. Each round posts a run, waits for
the stage, cancels the run, and waits until its state is cancelled.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.record import Figure, Row, Table, parser, publish
from heddle.client.client import Client, connect
from heddle.client.resources import Run

PORT = 8917
ROUNDS = 3
STAGE_SECONDS = 240.0
SEEDS = count()


def spec(steps: int, metrics: list[Any], **training: Any) -> dict[str, Any]:
    return {
        "dataset": "digits",
        "model": {"name": "mlp", "hidden": [128], "latent_dim": 10},
        "objective": "beta_vae",
        "training": {"steps": steps, **training},
        "evaluation": {"metrics": metrics, "rows": 1200, "test_rows": 500},
        "seed": next(SEEDS),
    }


def slow_step() -> dict[str, Any]:
    """A run with steps of seconds, during which its worker hears of no cancellation."""
    return {
        "dataset": "dsprites",
        "model": {"name": "burgess", "latent_dim": 10},
        "objective": "beta_vae",
        "training": {"steps": 1000, "batch_size": 2048},
        "seed": next(SEEDS),
    }


SUPPORT_VECTORS = [{"name": "sap", "predictor": "svm"}]
FORESTS = [{"name": "dci", "predictor": "random_forest"}]
BOOSTING = [{"name": "dci", "predictor": "gradient_boosting"}]
STAGES = {
    "queued": lambda: spec(10_000_000, ["mig"]),
    "training, steps of milliseconds": lambda: spec(10_000_000, ["mig"]),
    "training, steps of seconds": slow_step,
    "scoring, gradient boosting": lambda: spec(20, BOOSTING),
    "scoring, random forests": lambda: spec(20, FORESTS),
}
QUICK_STAGES = ("queued", "training, steps of milliseconds", "scoring, gradient boosting")


def reached(run: Run, stage: str) -> bool:
    """Whether a run is in the stage in which its cancellation is to be measured."""
    progress = run.refresh().document["progress"]
    if run.state in ("failed", "cancelled", "succeeded"):
        raise SystemExit(f"{run.id} is {run.state} before it could be cancelled: {run.reason}")
    if stage == "queued":
        return True
    if stage.startswith("training"):
        return progress["stage"] == "training"
    return progress["stage"] == "scoring"


def measure(client: Client, stage: str) -> float:
    experiment = client.submit(STAGES[stage]())
    [run] = experiment.runs()
    give_up = time.monotonic() + STAGE_SECONDS
    while not reached(run, stage):
        if time.monotonic() > give_up:
            raise SystemExit(f"{run.id} did not come to {stage}")
        time.sleep(0.05)
    time.sleep(1.0)  # Cancel in the middle of the stage.
    began = time.monotonic()
    run.cancel()
    while run.refresh().state != "cancelled":
        time.sleep(0.02)
    return time.monotonic() - began


@contextmanager
def service() -> Iterator[Client]:
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, "-m", "heddle", "up", "--home", home, "--port", str(PORT)]
        with Path(home, "up.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            with connect(f"http://127.0.0.1:{PORT}") as client:
                give_up = time.monotonic() + 120
                while time.monotonic() < give_up:
                    try:
                        client.get("/readyz")
                        break
                    except Exception:
                        time.sleep(0.5)
                yield client
        finally:
            process.terminate()
            process.wait(timeout=120)


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--rounds", type=int, help="cancellations in each stage (default 3)")
    arguments = made.parse_args()
    number = arguments.rounds or (1 if arguments.quick else ROUNDS)
    rows = []
    with service() as client:
        for stage in QUICK_STAGES if arguments.quick else STAGES:
            blocker = None
            if stage == "queued":
                blocker = client.submit(spec(10_000_000, ["mig"])).runs()[0]
                while blocker.refresh().state != "training":
                    time.sleep(0.1)
            took = Figure([measure(client, stage) for _ in range(number)], "s", "less")
            if blocker is not None:
                blocker.cancel()
            rows.append(Row([stage], {"until cancelled": took}))
            print(f"{stage}: {took} s", flush=True)
    command = f"python -m benchmarks.cancel --rounds {number}{' --quick' * arguments.quick}"
    publish([Table("cancel", command, ["stage"], rows)], arguments)


if __name__ == "__main__":
    main()
