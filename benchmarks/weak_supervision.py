"""What pairs of images or a few labels add to the scores of a beta-VAE, at equal steps.

Every objective is trained from the same seeds on the same data, one seed's runs after another. The
table has each score's mean and standard deviation over seeds, and the difference from the first
objective's runs of the same seeds with its standard error. The device is `cuda` if torch finds one.
"""

from __future__ import annotations

import json
import math
import shlex
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from benchmarks.record import Figure, Row, Table, parser, publish
from ml.datasets.dataset import Dataset
from ml.evaluation.evaluate import evaluate
from ml.spec.run_spec import RunSpec
from ml.training.loop import train

SCORES = {"mig": "mig", "sap": "sap", "disentanglement": "dci"}
"""The numbers in the table, and the metrics that compute them."""


def scored(spec: RunSpec, data: Dataset, rows: int) -> dict[str, float]:
    """Train a run and score it. A score that cannot be computed is NaN."""
    began = time.monotonic()
    model = train(spec, data=data)
    minutes = (time.monotonic() - began) / 60
    found = evaluate(
        model,
        data,
        list(SCORES.values()),
        rows=rows,
        test_rows=rows // 2,
        uncertainty=False,
    )
    values = {score.name: score.value for score in found}
    numbers = {name: values.get(name) for name in SCORES}
    return {
        **{name: math.nan if value is None else value for name, value in numbers.items()},
        "minutes": minutes,
    }


def row(name: str, runs: Sequence[Mapping[str, float]], base: Sequence[Mapping[str, float]]) -> Row:
    """A row of the table: of each score the seeds' values, and the difference from the first."""
    cells: dict[str, Figure | str | None] = {}
    for score in (*SCORES, "minutes"):
        values = [run[score] for run in runs]
        cells[score] = spread(values)
        if score != "minutes":
            apart = [run[score] - other[score] for run, other in zip(runs, base, strict=True)]
            error = deviation(apart) / math.sqrt(len(apart))
            told = "" if runs is base else f"{np.mean(apart):+.3f} ± {error:.3f}"
            cells[f"{score}, difference"] = told
    return Row([name], cells)


def spread(values: Sequence[float]) -> str:
    return f"{np.mean(values):.3f} ± {deviation(values):.3f}"


def deviation(values: Sequence[float]) -> float:
    """The standard deviation, which a single value does not have."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def main() -> None:
    made = parser(__doc__)
    made.add_argument(
        "--dataset", default='{"name": "dsprites"}', help="a name, or a JSON object with params"
    )
    made.add_argument("--model", default="locatello")
    made.add_argument(
        "--objectives",
        nargs="+",
        default=['{"name": "beta_vae", "beta": 1}', '{"name": "ada_gvae", "beta": 1}'],
        help="names or JSON objects; the others are compared with the first",
    )
    made.add_argument("--steps", type=int, help="(default 30000)")
    made.add_argument("--batch", type=int, default=64)
    made.add_argument("--latents", type=int, default=10)
    made.add_argument("--learning-rate", type=float, default=1e-4)
    made.add_argument("--seeds", type=int, help="how many (default 5)")
    made.add_argument("--rows", type=int, help="(default 10000)")
    made.add_argument("--threads", type=int, default=1)
    arguments = made.parse_args()
    steps = arguments.steps or (20 if arguments.quick else 30_000)
    seeds = arguments.seeds or (1 if arguments.quick else 5)
    scored_rows = arguments.rows or (1_000 if arguments.quick else 10_000)
    torch.set_num_threads(arguments.threads)
    documents = [
        {
            "dataset": _named(arguments.dataset),
            "model": {"name": arguments.model, "latent_dim": arguments.latents},
            "objective": _named(objective),
            "training": {
                "steps": steps,
                "batch_size": arguments.batch,
                "optimizer": {"name": "adam", "learning_rate": arguments.learning_rate},
            },
        }
        for objective in arguments.objectives
    ]
    data = RunSpec.parse(documents[0]).dataset.open()
    found: list[list[dict[str, float]]] = [[] for _ in documents]
    for seed in range(seeds):
        for document, runs in zip(documents, found, strict=True):
            runs.append(scored(RunSpec.parse({**document, "seed": seed}), data, scored_rows))
            print(f"seed {seed}, {json.dumps(document['objective'])}: {runs[-1]}", flush=True)
    command = (
        f"python -m benchmarks.weak_supervision --dataset {shlex.quote(arguments.dataset)}"
        f" --model {arguments.model} --steps {steps} --batch {arguments.batch} --seeds {seeds}"
        f" --learning-rate {arguments.learning_rate:g} --rows {scored_rows}"
    )
    rows = [
        row(f"`{objective}`", runs, found[0])
        for objective, runs in zip(arguments.objectives, found, strict=True)
    ]
    publish([Table("weak_supervision", command, ["objective"], rows)], arguments)


def _named(given: str) -> Any:
    return json.loads(given) if given.startswith("{") else given


if __name__ == "__main__":
    main()
