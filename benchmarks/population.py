"""Time of scoring all 737,280 images of dSprites: encoding them, and each metric with its null.

The model has the protocol's architecture (or another, by `--model`) and weights from a few steps:
how good it is does not change how long its codes take. With `--share`, only so many of the images
are encoded, and the codes of the others are noise. Metrics of one binning share their counts, so
the first of them takes the time of all.

    python -m benchmarks.population [--model locatello] [--threads 2] [--share 0.05]
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import torch

from benchmarks.record import Figure, Row, Table, parser, publish
from ml import dataset, train
from ml.components.registry import components
from ml.evaluation.population import GridCodes, encode_grid, population_rows
from ml.evaluation.score import metric_of, scores_of
from ml.metrics.protocol import Metric

QUICK = ("active_units", "unsupervised")


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--model", default="locatello")
    made.add_argument("--threads", type=int, default=2)
    made.add_argument("--share", type=float, help="of the images that are encoded (default 1)")
    asked = made.parse_args()
    share = asked.share or (0.01 if asked.quick else 1.0)
    torch.set_num_threads(asked.threads)
    data = dataset("dsprites")
    spec = {
        "dataset": "dsprites",
        "model": asked.model,
        "objective": "beta_vae",
        "training": {"steps": 2},
    }
    model = train(spec, data=data)
    images = round(share * len(data))
    part = replace(data, chosen=np.arange(images), labels=data.factors(np.arange(images)))

    rows: list[Row] = []

    def told(what: str, wall: float, cpu: float) -> None:
        took = Figure([wall], "s", "less")
        rows.append(Row([what], {"took": took, "one core": Figure([cpu], "s", "less")}))
        print(f"{what}: {wall:.1f} s", flush=True)

    began, cpu = time.perf_counter(), time.process_time()
    codes = encode_grid(model, part)
    said = f"encoding {images:,} images, {asked.threads} threads"
    told(said, time.perf_counter() - began, time.process_time() - cpu)

    shape = (len(data) - images, codes.mean.shape[1])
    noise = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    mean = np.concatenate([codes.mean, noise])
    whole = GridCodes(mean, np.zeros_like(mean), "chosen", data.source)
    began, cpu = time.perf_counter(), time.process_time()
    size = len(whole.to_npz())
    said = f"writing the codes, {size / 1e6:.0f} MB"
    told(said, time.perf_counter() - began, time.process_time() - cpu)
    scored = replace(population_rows(whole, data), threads=asked.threads)
    for name, component in sorted(components("metric").items()):
        assert issubclass(component, Metric)
        metric = metric_of(name)
        if not metric.scores_populations("mean") or (asked.quick and name not in QUICK):
            continue
        began, cpu = time.perf_counter(), time.process_time()
        score = scores_of(metric, scored, codes="mean")[0]
        of_null = "no null" if score.null is None else f"{score.null.replicates:,} permutations"
        told(f"{name}, {of_null}", time.perf_counter() - began, time.process_time() - cpu)
    command = (
        f"python -m benchmarks.population --model {asked.model} --threads {asked.threads}"
        f" --share {share:g}{' --quick' * asked.quick}"
    )
    publish([Table("population", command, [""], rows)], asked)


if __name__ == "__main__":
    main()
