"""How far scores of a sample are from those of the population, and how often they rank otherwise.

Trains twelve small models on dSprites, encodes all 737,280 images by each, and compares scores of
all images with scores of draws. Prints the tables of docs/studies/population.md and draws its
picture.

    python docs/studies/population.py [--home .heddle-population]

After an interruption it goes on where it was: models and codes are kept in the folder.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from matplotlib.figure import Figure

from ml import dataset, train
from ml.codes.rows import Rows
from ml.datasets.dataset import Dataset
from ml.evaluation.population import GridCodes, encode_grid, population_rows
from ml.evaluation.score import metric_of
from ml.metrics.information import information_metric
from ml.networks.model import Model
from ml.reproducibility.draws import generator

IMAGES = Path(__file__).parents[1] / "images"
METRICS = ("mig", "rmig", "mig_sup", "jemmig", "dcimig", "modularity", "med")
DRAWS = {1_000: 50, 10_000: 50, 100_000: 20}
"""Draws of each number of rows."""
AT = 10_000
"""Rows at which models are ranked, the default of an evaluation."""
INTERVALS, REPLICATES = 10, 200
"""Draws of each model that have an interval, and its subsamples, which are a thousand usually."""
CLOSE = 0.02
OBJECTIVES: Sequence[Mapping[str, Any]] = (
    {"name": "vae"},
    {"name": "beta_vae", "beta": 4},
    {"name": "beta_vae", "beta": 8},
    {"name": "beta_tcvae", "beta": 4},
)
SEEDS = (0, 1, 2)


@click.command()
@click.option("--home", default=".heddle-population", type=click.Path(path_type=Path))
def main(home: Path) -> None:
    """Train, encode, score, print and draw."""
    home.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    data = dataset("dsprites")
    specs = [_spec(objective, seed) for objective in OBJECTIVES for seed in SEEDS]
    found = [_scored(spec, data, home / f"{number}.npz") for number, spec in enumerate(specs)]
    _print(specs, found)
    _draw(found, IMAGES / "population_rows.png")


def _spec(objective: Mapping[str, Any], seed: int) -> dict[str, Any]:
    return {
        "dataset": "dsprites",
        "model": {"name": "mlp", "hidden": [128, 64], "latent_dim": 10},
        "objective": dict(objective),
        "training": {"steps": 2500, "optimizer": {"name": "adam", "learning_rate": 1e-3}},
        "seed": seed,
    }


def _scored(spec: Mapping[str, Any], data: Dataset, kept: Path) -> dict[str, np.ndarray]:
    """Population scores (metrics,), scores of draws (draws, metrics), half widths of intervals."""
    if not kept.exists():
        rows = population_rows(_codes(spec, data, kept), data)
        found = {"population": _values(rows)}
        for size, number in DRAWS.items():
            found[f"draws_{size}"] = np.array(
                [_values(_draw_of(rows, size, draw)) for draw in range(number)]
            )
        information_metric.MOST_REPLICATES = REPLICATES
        found["half_widths"] = np.array(
            [_half_widths(_draw_of(rows, AT, draw)) for draw in range(INTERVALS)]
        )
        with kept.open("wb") as file:
            np.savez(file, **found)
        print(f"{kept}: population MIG {found['population'][0]:.4f}", flush=True)
    with np.load(kept) as arrays:
        return dict(arrays)


def _codes(spec: Mapping[str, Any], data: Dataset, kept: Path) -> GridCodes:
    weights = kept.with_suffix(".safetensors")
    if not weights.exists():
        weights.write_bytes(train(spec, data=data).to_bytes())
    return encode_grid(Model.from_bytes(weights.read_bytes()), data)


def _draw_of(rows: Rows, size: int, draw: int) -> Rows:
    """A draw without replacement, of the same images for every model."""
    index = generator(draw, f"population study {size}").permutation(len(rows))[:size]
    return replace(rows.take(index, size), seed=draw)


def _values(rows: Rows) -> np.ndarray:
    return np.array([metric_of(name).values(rows)[name] for name in METRICS])


def _half_widths(rows: Rows) -> np.ndarray:
    return np.array([metric_of(name).half_widths(rows)[name] for name in METRICS])


def _print(specs: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, np.ndarray]]) -> None:
    population = np.array([one["population"] for one in found])
    print("\n| model | " + " | ".join(METRICS) + " |\n|" + " --- |" * (len(METRICS) + 1))
    for spec, values in zip(specs, population, strict=True):
        params = ", ".join(str(value) for value in spec["objective"].values())
        cells = " | ".join(f"{value:.3f}" for value in values)
        print(f"| {params}, seed {spec['seed']} | {cells} |")

    print("\n| metric | rows | bias | largest | deviation of a draw | largest |\n|" + " --- |" * 6)
    for (k, name), size in itertools.product(enumerate(METRICS), DRAWS):
        draws = np.array([one[f"draws_{size}"][:, k] for one in found])
        bias, deviation = draws.mean(1) - population[:, k], draws.std(1, ddof=1)
        print(
            f"| {name} | {size:,} | {bias.mean():+.4f} | {max(bias, key=abs):+.4f}"
            f" | {np.sqrt((deviation**2).mean()):.4f} | {deviation.max():.4f} |"
        )

    head = "| metric | pairs | flips | closer pairs | flips | closer pairs, other images | held |"
    print(f"\n{head}\n|" + " --- |" * 7)
    for k, name in enumerate(METRICS):
        draws = np.array([one[f"draws_{AT}"][:, k] for one in found])
        flips: dict[str, list[float]] = {"all": [], "close": [], "others": []}
        for a, b in itertools.combinations(range(len(found)), 2):
            lead = population[a, k] - population[b, k]
            flipped = float(((draws[a] - draws[b]) * lead < 0).mean())
            flips["all"].append(flipped)
            if abs(lead) < CLOSE:
                flips["close"].append(flipped)
                # The same comparison with other images for each of the two models.
                others = (draws[a] - np.roll(draws[b], 1)) * lead
                flips["others"].append(float((others < 0).mean()))
        widths = np.array([one["half_widths"][:, k] for one in found])
        held = np.abs(draws[:, :INTERVALS] - population[:, k, None]) <= widths
        shares = [f"{np.mean(of):.1%}" if of else "" for of in flips.values()]
        print(
            f"| {name} | {len(flips['all'])} | {shares[0]} | {len(flips['close'])} | {shares[1]}"
            f" | {shares[2]} | {held.mean():.1%} |"
        )


def _draw(found: Sequence[Mapping[str, np.ndarray]], path: Path) -> None:
    """Scores of draws against rows, with the population's as lines."""
    shown = ("mig", "dcimig", "modularity")
    figure = Figure(figsize=(12, 4), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(shown)), shown, strict=True):
        k = METRICS.index(name)
        for number, one in enumerate(found):
            color = f"C{number // len(SEEDS)}"
            axes.axhline(one["population"][k], color=color, linewidth=0.8)
            for size in DRAWS:
                draws = one[f"draws_{size}"][:, k]
                places = size * 1.03 ** (number - len(found) / 2)
                axes.plot(np.full(len(draws), places), draws, ".", color=color, markersize=2)
        axes.set(xscale="log", xlabel="rows", title=name)
    axes.legend(
        handles=[
            axes.plot([], [], "o", color=f"C{k}", label=" ".join(map(str, one.values())))[0]
            for k, one in enumerate(OBJECTIVES)
        ],
        fontsize="small",
    )
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    main()
