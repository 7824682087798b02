"""From a sweep to an answer: trains docs/studies/beta.yaml and makes every picture of it.

python docs/studies/beta.py [--home .heddle-beta] [--to beta-study]

A service of its own trains beta in 1, 2, 4, 8, 16 by three seeds on dSprites, a model that never
saw a heart (no_hearts.yaml), and small models of digits over two swept values (latents.yaml). Then
the script writes the report, the results, films, and every registered plot of the study and of its
best run as PNG and SVG. It prints how well the ELBO separates hearts from squares and ellipses.
After an interruption it goes on where it was: trained runs are not trained again.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import httpx
import numpy as np
from rich.table import Table
from sklearn.metrics import roc_auc_score

from heddle.cli.output.live import LiveProgress
from heddle.cli.output.terminal import console
from heddle.client.client import Client, connect
from heddle.client.resources import Experiment, Run
from heddle.errors import HeddleError
from heddle.service.serving import serving
from ml import dataset

HERE = Path(__file__).parent
SHAPES = ("squares", "ellipses", "hearts")
IMAGES_A_SHAPE = 1000
AT_ONCE = 500
PREDICTORS = ("lasso", "random_forest", "gradient_boosting")


@click.command()
@click.option("--home", default=".heddle-beta", type=click.Path(path_type=Path))
@click.option("--to", default="beta-study", type=click.Path(path_type=Path))
def main(home: Path, to: Path) -> None:
    """Train, score, picture and judge the study."""
    # A process of one thread for each core trains faster than one process of several threads.
    environment = {
        "HEDDLE_TRAIN_PROCESSES": str(os.cpu_count() or 1),
        "HEDDLE_TRAIN_THREADS": "1",
    }
    with serving(home, environment=environment) as url, connect(url) as client:
        without_hearts = client.submit(HERE / "no_hearts.yaml", priority=1)
        latents = client.submit(HERE / "latents.yaml", priority=1)
        sweep = client.submit(HERE / "beta.yaml")
        with LiveProgress(client, console()) as live:
            sweep.wait(progress=live)
            without_hearts.wait(progress=live)
            latents.wait(progress=live)
        best = best_run(client, sweep)
        metrics = [{"name": "dci", "predictor": name} for name in PREDICTORS]
        evaluation = {"metrics": metrics, "uncertainty": False}
        client.evaluate_run(best.id, evaluation).wait()
        to.mkdir(parents=True, exist_ok=True)
        for name, content in files(client, sweep, latents, best):
            (to / name).write_bytes(content)
            click.echo(f"{to / name}  {len(content):,} bytes")
        console().print(hearts(client, without_hearts.runs()[0]))


def best_run(client: Client, sweep: Experiment) -> Run:
    """The run of median MIG in the setting whose median is best."""
    summary = client.get(f"/v1/experiments/{sweep.id}/summary").json()
    [best] = [one for one in summary["best"] if one["column"] == "mig"]
    rows = client.get(f"/v1/experiments/{sweep.id}/results").json()["items"]
    alike = [row for row in rows if best["setting"].items() <= row.items()]
    ordered = sorted(alike, key=lambda row: row["mig"])
    return client.run(ordered[len(ordered) // 2]["run_id"])


def files(
    client: Client, sweep: Experiment, latents: Experiment, best: Run
) -> Iterator[tuple[str, bytes]]:
    """Every file by its name. A plot with nothing to draw is reported and left out."""
    experiment, run = f"/v1/experiments/{sweep.id}", f"/v1/runs/{best.id}"
    for kind in ("csv", "parquet", "json"):
        yield f"results.{kind}", client.get(f"{experiment}/results", format=kind).content
    yield "summary.json", client.get(f"{experiment}/summary").content
    yield "report.html", client.get(f"{experiment}/report.html").content
    places = {"study": experiment, "run": run, "dataset": "/v1/datasets/dsprites"}
    for plot in client.get("/v1/catalog").json()["plots"]:
        place = places[plot["of"]]
        if plot["name"] == "score_map":
            place = f"/v1/experiments/{latents.id}"
        for kind in ("png", "svg"):
            path = f"{place}/plots/{plot['name']}.{kind}"
            try:
                yield f"{plot['name']}.{kind}", client.get(path).content
            except HeddleError as nothing:
                click.echo(f"{plot['name']}: {nothing}")
    yield "traversal.gif", client.get(f"{run}/traversal.gif").content
    yield "training.gif", client.get(f"{run}/training.gif").content
    yield "run.zip", client.get(f"{run}/folder.zip").content


def hearts(client: Client, run: Run) -> Table:
    """How anomalous each shape is to a model that never saw a heart, and the AUROC of hearts."""
    data = dataset("dsprites")
    known = client.get(f"/v1/runs/{run.id}").json()["spec"]["dataset"]["values"]
    draws = np.random.default_rng(0)
    table = Table("shape", "images", "ELBO, nats, median", "percentile, median", "AUROC of hearts")
    elbo: dict[str, np.ndarray] = {}
    percentile: dict[str, np.ndarray] = {}
    for shape, name in enumerate(SHAPES):
        # All other factors are as in training, so that only the shape is new.
        values = [
            [shape] if factor == "shape" else known.get(factor, range(size))
            for factor, size in zip(data.factor_names, data.factor_sizes, strict=True)
        ]
        factors = np.stack([draws.choice(one, IMAGES_A_SHAPE) for one in values], axis=1)
        found = list(anomaly(client, run, data.images(data.index(factors))))
        elbo[name] = np.array([one["elbo"] for one in found])
        percentile[name] = np.array([one["percentile"] for one in found])
    for name in SHAPES:
        area = "" if name == "hearts" else f"{auroc(elbo['hearts'], elbo[name]):.3f}"
        middle = [np.median(elbo[name]), np.median(percentile[name])]
        table.add_row(name, f"{IMAGES_A_SHAPE:,}", *(f"{value:.1f}" for value in middle), area)
    both = np.concatenate([elbo["squares"], elbo["ellipses"]])
    table.add_row("both", f"{len(both):,}", "", "", f"{auroc(elbo['hearts'], both):.3f}")
    return table


def auroc(odd: np.ndarray, usual: np.ndarray) -> float:
    """How often an odd image has a lower ELBO than a usual one."""
    labels = np.repeat([1, 0], [len(odd), len(usual)])
    return float(roc_auc_score(labels, -np.concatenate([odd, usual])))


def anomaly(client: Client, run: Run, images: np.ndarray) -> Iterator[dict[str, Any]]:
    """ELBO and percentile of each image."""
    for start in range(0, len(images), AT_ONCE):
        file = io.BytesIO()
        np.savez_compressed(file, images=images[start : start + AT_ONCE] * np.uint8(255))
        answer = httpx.post(
            f"{client.url}/v1/runs/{run.id}/anomaly",
            files={"file": ("images.npz", file.getvalue())},
            timeout=60,
        )
        answer.raise_for_status()
        yield from answer.json()["items"]


if __name__ == "__main__":
    main()
