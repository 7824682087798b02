"""Time of scoring all 737,280 images of dSprites: encoding them, and each metric with its null.

The model has the protocol's architecture (or another, by `--model`) and weights from a few steps:
how good it is does not change how long its codes take. With `--share`, only so many of the images
are encoded, and the codes of the others are noise. Metrics of one binning share their counts, so
the first of them takes the time of all.

    python benchmarks/population.py [--model locatello] [--threads 2] [--share 0.05]
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import numpy as np
import torch

from ml import dataset, train
from ml.components.registry import components
from ml.evaluation.population import GridCodes, encode_grid, population_rows
from ml.evaluation.score import metric_of, scores_of
from ml.metrics.protocol import Metric


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="locatello")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--share", type=float, default=1.0)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    data = dataset("dsprites")
    spec = {
        "dataset": "dsprites",
        "model": asked.model,
        "objective": "beta_vae",
        "training": {"steps": 2},
    }
    model = train(spec, data=data)
    images = round(asked.share * len(data))
    part = replace(data, chosen=np.arange(images), labels=data.factors(np.arange(images)))

    print("| | s | s of one core |\n| --- | --- | --- |")
    began, cpu = time.perf_counter(), time.process_time()
    codes = encode_grid(model, part)
    said = f"encoding {images:,} images, {asked.threads} threads"
    print(f"| {said} | {time.perf_counter() - began:.1f} | {time.process_time() - cpu:.1f} |")

    shape = (len(data) - images, codes.mean.shape[1])
    noise = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    mean = np.concatenate([codes.mean, noise])
    whole = GridCodes(mean, np.zeros_like(mean), "chosen", data.source)
    began = time.perf_counter()
    size = len(whole.to_npz())
    print(f"| writing the codes, {size / 1e6:.0f} MB | {time.perf_counter() - began:.1f} | |")
    rows = replace(population_rows(whole, data), threads=asked.threads)
    for name, component in sorted(components("metric").items()):
        assert issubclass(component, Metric)
        metric = metric_of(name)
        if not metric.scores_populations("mean"):
            continue
        began, cpu = time.perf_counter(), time.process_time()
        score = scores_of(metric, rows, codes="mean")[0]
        of_null = "no null" if score.null is None else f"{score.null.replicates:,} permutations"
        took = f"{time.perf_counter() - began:.1f} | {time.process_time() - cpu:.1f}"
        print(f"| {name}, {of_null} | {took} |", flush=True)


if __name__ == "__main__":
    main()
