"""Studies for tests, put together as an experiment's are."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ml.metrics.protocol import NullDistribution, Score
from ml.studies.study import RunResult, Study, study

BETTER = {"reconstruction": False, "loss": False, "kl": None}
"""Whether higher is, where it is not."""
PIXELS = 64 * 64
SPEC = {
    "dataset": {"name": "dsprites"},
    "training": {"likelihood": "bernoulli", "pixel_deviation": None},
}


def a_score(
    column: str, value: float | None, null: tuple[float, float] | None = (0.01, 0.005), **told: Any
) -> Score:
    """`mig`, or `dci.disentanglement`."""
    metric, _, name = column.partition(".")
    given: dict[str, Any] = {
        "metric": metric,
        "name": name or metric,
        "value": value,
        "error": None if value is not None else "the latents are constant",
        "higher_is_better": BETTER.get(name, True),
        "range": (0, 1),
        "perfect": 1,
        "null": None if null is None else NullDistribution(mean=null[0], std=null[1], replicates=3),
        "params": {},
        "definition": f"{metric}@1",
        "rows": 100,
        "seed": 0,
        "versions": {},
    }
    return Score(**{**given, **told})


def with_null(column: str, null: NullDistribution) -> Score:
    """A score with a null of any kind, also one that no score would take."""
    return a_score(column, None, None).model_copy(update={"null": null})


def a_run(
    swept: Mapping[str, Any], values: Mapping[str, float | None] | None = None, **changed: Any
) -> RunResult:
    """One run; `final.*` among its values are ends of curves, the others scores."""
    values = values or {}
    name = swept.get("objective.name", "beta_vae")
    whole = swept.get("objective")
    if whole is not None:
        name = whole if isinstance(whole, str) else whole["name"]
    latents = swept.get("model.latent_dim", 10)
    beta, beta_norm = swept.get("objective.beta"), swept.get("objective.beta_norm")
    if beta is not None:
        beta_norm = beta * latents / PIXELS
    elif beta_norm is not None:
        beta = beta_norm * PIXELS / latents
    run_id = "r-" + "-".join(str(value) for value in swept.values())
    given: dict[str, Any] = {
        "run_id": run_id,
        "state": "succeeded",
        "train_id": f"t{run_id}",
        "spec": {**SPEC, "objective": {"name": name}, "seed": swept.get("seed", 0)},
        "swept": swept,
        "scores": [
            a_score(column, value)
            for column, value in values.items()
            if not column.startswith("final.")
        ],
        "final": {
            column.removeprefix("final."): value
            for column, value in values.items()
            if column.startswith("final.") and value is not None
        },
        "beta": beta,
        "beta_norm": beta_norm,
    }
    return RunResult(**{**given, **changed})


def a_sweep(
    sweep: Mapping[str, Sequence[Any]],
    values: Callable[[Mapping[str, Any]], Mapping[str, float | None]],
    name: str = "a sweep",
) -> Study:
    """The product of all values, as an experiment's sweep is."""
    places = [dict(zip(sweep, place, strict=True)) for place in itertools.product(*sweep.values())]
    return study(name, [a_run(place, values(place)) for place in places])


def like_beta(place: Mapping[str, Any]) -> dict[str, float | None]:
    """Numbers such as a sweep over beta has: scores rise and fall, reconstruction suffers."""
    beta = float(place.get("objective.beta") or 1.0)
    latents = float(place.get("model.latent_dim", 10))
    draws = np.random.default_rng([int(8 * beta), int(latents), int(place.get("seed", 0))])
    peak = float(np.exp(-(np.log2(beta / 4) ** 2) / 5 - np.log2(latents / 10) ** 2 / 8))
    reconstruction = 16 + 12 * np.log2(1 + beta) + draws.normal()
    return {
        "mig": 0.04 + 0.25 * peak + 0.03 * draws.normal(),
        "sap": 0.02 + 0.06 * peak + 0.008 * draws.normal(),
        "dci.disentanglement": 0.1 + 0.5 * peak + 0.04 * draws.normal(),
        "dci.completeness": 0.15 + 0.45 * peak + 0.04 * draws.normal(),
        "final.loss": reconstruction + beta * 20 / (1 + beta),
        "final.reconstruction": reconstruction,
        "final.kl": 26 / (1 + 0.3 * beta) + 0.5 * draws.normal(),
    }
