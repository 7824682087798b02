"""Studies to draw, and what their figures hold."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from ml.plots.drawing.colours import GREY
from ml.studies.study import Study, StudyRun, study
from tests.ml.many_runs import a_run, a_score, a_sweep, like_beta

SETTINGS: dict[str, list[Any]] = {
    "model.latent_dim": [4, 10],
    "objective.beta": [1.0, 4.0, 16.0],
    "seed": [0, 1],
}


def changed(given: Study, chosen: Callable[[StudyRun], bool], **changes: Any) -> Study:
    """The study, with changes in the runs that are chosen."""
    runs = tuple(dataclasses.replace(run, **changes) if chosen(run) else run for run in given.runs)
    assert runs != given.runs
    return dataclasses.replace(given, runs=runs)


def is_first(run: StudyRun) -> bool:
    return run.beta == 1 and run.seed == 0


def every(run: StudyRun) -> bool:
    return True


def with_ends(place: Mapping[str, Any]) -> dict[str, float | None]:
    ends = {0: math.nan, 1: math.inf, 2: 1e300, 3: 1e-300, 4: -1e300}
    end = ends[(int(place["objective.beta"]) + 3 * place["seed"]) % 5]
    return {**like_beta(place), "final.loss": end}


RICH = a_sweep(SETTINGS, like_beta)
# Every plot draws these.
DRAWN = {
    "rich": RICH,
    "no name": dataclasses.replace(RICH, name=""),
    "a long name": dataclasses.replace(RICH, name="a name as people give them " * 6),
    "one seed per setting": a_sweep({**SETTINGS, "seed": [7]}, like_beta),
    "one failed run": changed(RICH, is_first, state="failed", error="loss is nan"),
    "a setting that failed": changed(RICH, lambda run: run.beta == 4, state="failed"),
    "some runs still training": changed(RICH, lambda run: run.beta != 4, state="running"),
    "a missing score": a_sweep(
        SETTINGS,
        lambda place: {**like_beta(place), "mig": None if place["seed"] else 0.2},
    ),
    "a score that all lack": a_sweep(SETTINGS, lambda place: {**like_beta(place), "mig": None}),
    "three paths": a_sweep({"optimizer.lr": [1e-4, 1e-3], **SETTINGS}, like_beta),
    "beta of zero": a_sweep({**SETTINGS, "objective.beta": [0.0, 1.0, 4.0, 16.0]}, like_beta),
    "texts and truth values": a_sweep(
        {"model.name": ["mlp", "a_network_whose_name_is_long"], "model.norm": [True, False]},
        like_beta,
    ),
    "null among numbers": a_sweep(
        {"objective.warmup": [None, 100, 1000], "objective.beta": [1.0, 4.0]}, like_beta
    ),
    "lists": a_sweep(
        {"model.hidden": [[256, 256], [1024, 1024, 1024]], "objective.beta": [1.0, 4.0]}, like_beta
    ),
    "a hundred settings": a_sweep(
        {
            "model.latent_dim": list(range(2, 12)),
            "objective.beta": [2.0**power for power in range(-3, 7)],
        },
        like_beta,
    ),
    "a hundred texts": a_sweep(
        {
            "model.name": [f"network_number_{k}" for k in range(10)],
            "dataset.name": [f"data_set_number_{k}" for k in range(10)],
        },
        like_beta,
    ),
    "many rows": a_sweep(
        {"model.name": ["mlp", "cnn"], "objective.gamma": list(range(1, 81))}, like_beta
    ),
    "whole objectives": a_sweep(
        {
            "objective": [
                "vae",
                *({"name": "beta_vae", "beta": beta} for beta in (2.0, 4.0)),
                {"name": "factor_vae", "gamma": 10.0},
            ],
            "model.latent_dim": [4, 10],
            "seed": [0, 1],
        },
        like_beta,
    ),
    "without nulls": changed(RICH, every, scores={}),
    "ends that are not finite": a_sweep(SETTINGS, with_ends),
    "constant scores": a_sweep(SETTINGS, lambda place: {"mig": 0.25, "sap": 0.0}),
    "huge scores": a_sweep(
        SETTINGS,
        lambda place: {"mig": 1e300 * place["objective.beta"], "sap": -1e-300, "final.kl": 2e9},
    ),
    "negative scores": a_sweep(
        SETTINGS, lambda place: {"mig": -place["objective.beta"], "sap": -1.5}
    ),
    "a long column": a_sweep(
        SETTINGS,
        lambda place: {
            "explicitness.explicitness_train": 0.5 + place["seed"] / 10,
            "final.reconstruction": place["objective.beta"],
        },
    ),
    "two definitions of a score": study(
        "",
        [
            a_run(
                {"model.latent_dim": latents, "objective.beta": beta},
                scores=[
                    a_score("dci.disentanglement", beta / 9, params={"predictor": predictor})
                    for predictor in ("lasso", "gradient_boosting")
                ],
            )
            for latents in (4, 10)
            for beta in (1.0, 4.0)
        ],
    ),
}
BY_BETA = {1.0: [0.1, 0.2, 0.6], 4.0: [0.3, 0.4, 0.9], 16.0: [0.5, 0.1, 0.2]}
"""MIG by beta and seed."""


def by_beta(place: Mapping[str, Any]) -> dict[str, float | None]:
    return {"mig": BY_BETA[place["objective.beta"]][place["seed"]]}


BETAS = a_sweep({"objective.beta": list(BY_BETA), "seed": [0, 1, 2]}, by_beta)


def joined(axes: Axes) -> list[Line2D]:
    """The lines, without the dots of runs and levels across the panel."""
    return [line for line in axes.lines if line.get_marker() == "None" and is_in_data(axes, line)]


def is_in_data(axes: Axes, line: Line2D) -> bool:
    return line.get_transform() == axes.transData


def points(line: Line2D) -> list[tuple[float, float]]:
    places: Any = np.asarray(line.get_xydata())
    return [(float(x), float(y)) for x, y in places]


def dots(axes: Axes) -> list[tuple[float, float]]:
    return [one for line in axes.lines if line.get_marker() == "o" for one in points(line)]


def bands(axes: Axes) -> list[Rectangle]:
    """The bands of nulls."""
    return [
        patch
        for patch in axes.patches
        if isinstance(patch, Rectangle) and to_hex(patch.get_facecolor()) == GREY.lower()
    ]


NULLS = [(0.1, 0.03), (0.2, 0.04)]
