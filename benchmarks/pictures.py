"""How long pictures of a trained model take over HTTP, while nothing runs and while a run trains.

A service as `heddle up` starts it trains a short run. One client then asks for its traversal and
for decoded images again and again, one request at a time. Each request has other params, so that no
answer is in memory; one row repeats a request. This is done while nothing else runs, and again
while another run trains. The first request, which loads the model, has a row of its own.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import Figure, Row, Table, parser, publish
from heddle.client.client import Client, connect
from heddle.service.serving import serving


def spec(steps: int, seed: int) -> dict[str, Any]:
    return {
        "dataset": "dsprites",
        "model": {"name": "burgess", "latent_dim": 10},
        "objective": {"name": "beta_vae", "beta": 4},
        "seed": seed,
        "training": {"steps": steps, "batch_size": 32},
        "evaluation": {"metrics": ["mig"], "rows": 5000, "test_rows": 100, "uncertainty": False},
    }


def requests(client: Client, run: str) -> dict[str, Callable[[], object]]:
    """Requests by their names in the table. A call has new params, except "asked before"."""
    draws = np.random.default_rng(0)
    counted = itertools.count()

    def extent() -> float:
        return 1.0 + 1e-4 * next(counted)

    def latents(rows: int) -> dict[str, Any]:
        return {"latents": draws.normal(size=(rows, 10)).round(6).tolist()}

    def traversal(kind: str, **params: Any) -> Callable[[], object]:
        path = f"/v1/runs/{run}/traversal.{kind}"
        return lambda: client.get(path, span="deviations", extent=extent(), **params)

    again = f"/v1/runs/{run}/traversal.png"
    return {
        "traversal.png, 10 latents, 11 frames": traversal("png"),
        "traversal.png, one latent": traversal("png", latents="0"),
        "traversal.png, asked before": lambda: client.get(again, span="range"),
        "traversal.gif": traversal("gif"),
        "decode, 1 image": lambda: client.post(f"/v1/runs/{run}/decode", latents(1)),
        "decode, 64 images": lambda: client.post(f"/v1/runs/{run}/decode", latents(64)),
    }


def seconds(ask: Callable[[], object]) -> float:
    began = time.perf_counter()
    ask()
    return time.perf_counter() - began


def percentiles(
    asked: dict[str, Callable[[], object]], rounds: int, times: int
) -> dict[str, tuple[Figure, Figure]]:
    """p50 and p99 of each request in each round, in ms. A round has so many of each, in a row."""
    found: dict[str, list[np.ndarray]] = {name: [] for name in asked}
    for _ in range(rounds):
        for name, ask in asked.items():
            took = [1000 * seconds(ask) for _ in range(times)]
            found[name].append(np.percentile(took, (50, 99)))

    def figure(values: list[float]) -> Figure:
        return Figure(values, "ms", "less", places=0)

    return {
        name: (figure([float(p50) for p50, _ in both]), figure([float(p99) for _, p99 in both]))
        for name, both in found.items()
    }


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--requests", type=int, help="of each kind, phase and round (default 100)")
    made.add_argument("--rounds", type=int, help="(default 3)")
    arguments = made.parse_args()
    times = arguments.requests or (5 if arguments.quick else 100)
    number = arguments.rounds or 3
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder), None) as url,
        connect(url) as client,
    ):
        steps = 30 if arguments.quick else 300
        trained = client.submit(spec(steps, 0)).wait().runs()[0].id
        first = 1000 * seconds(requests(client, trained)["traversal.png, one latent"])
        idle = percentiles(requests(client, trained), number, times)
        beside = None
        if not arguments.quick:
            going_on = client.submit(spec(1_000_000, 1))
            while going_on.runs()[0].state != "training":
                time.sleep(0.2)
                going_on.refresh()
            time.sleep(10)
            beside = percentiles(requests(client, trained), number, times)
            assert going_on.refresh().runs()[0].state == "training"
            going_on.cancel()
    rows = [Row(["the first, which loads the model"], {"p50": Figure([first], "ms", "less", 0)})]
    for name, (p50, p99) in idle.items():
        figures: dict[str, Figure | str | None] = {"p50": p50, "p99": p99}
        if beside is not None:
            training, training_p99 = beside[name]
            figures |= {"p50 while a run trains": training, "its p99": training_p99}
        rows.append(Row([name], figures))
    command = (
        f"python -m benchmarks.pictures --requests {times} --rounds {number}"
        f"{' --quick' * arguments.quick}"
    )
    publish([Table("pictures", command, ["request"], rows)], arguments)


if __name__ == "__main__":
    main()
