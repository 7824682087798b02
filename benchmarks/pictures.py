"""How long pictures of a trained model take over HTTP, while nothing runs and while a run trains.

A service as `heddle up` starts it trains a short run. One client then asks for its traversal and
for decoded images again and again, one request at a time. Each request has other params, so that no
answer is in memory; one row repeats a request. This is done while nothing else runs, and again
while another run trains. The first request, which loads the model, is printed by itself.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import MARKDOWN
from rich.console import Console
from rich.table import Table

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


def measured(ask: Callable[[], object], times: int) -> np.ndarray:
    """Seconds of each request."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        ask()
        found.append(time.perf_counter() - began)
    return np.array(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=200, help="requests of each kind and phase")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder), None) as url,
        connect(url) as client,
    ):
        trained = client.submit(spec(300, 0)).wait().runs()[0].id
        first = measured(requests(client, trained)["traversal.png, one latent"], 1)[0]
        idle = {
            name: measured(ask, given.requests) for name, ask in requests(client, trained).items()
        }
        going_on = client.submit(spec(1_000_000, 1))
        while going_on.runs()[0].state != "training":
            time.sleep(0.2)
            going_on.refresh()
        time.sleep(10)
        beside = {
            name: measured(ask, given.requests) for name, ask in requests(client, trained).items()
        }
        assert going_on.refresh().runs()[0].state == "training"
        going_on.cancel()
    columns = ["request", "p50, ms", "p99, ms", "p50 while a run trains, ms", "p99, ms"]
    table = Table(*columns, box=MARKDOWN)
    for name in idle:
        cells = [
            f"{1000 * np.percentile(found[name], share):.0f}"
            for found in (idle, beside)
            for share in (50, 99)
        ]
        table.add_row(name, *cells)
    Console(width=140).print(table)
    print(f"the first request, which loads the model: {1000 * first:.0f} ms")


if __name__ == "__main__":
    main()
