"""The jobs: small sweeps on digits, some runs evaluated once more, and files of codes."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from tests.chaos.fire import Plan
from tests.npz import npz

SWEEP = 6
"""Runs of one experiment, which go together."""
WIDTH = 4
"""Most runs of a cohort."""

OBJECTIVES: tuple[dict[str, Any], ...] = (
    {"name": "vae"},
    {"name": "beta_vae", "beta": 4},
    {"name": "beta_tcvae", "beta": 4},
    {"name": "annealed_vae", "anneal_steps": 300},
    {"name": "dip_vae_ii"},
)

AGAIN: dict[str, Any] = {
    "metrics": ["jemmig", "elbo"],
    "rows": 120,
    "test_rows": 40,
    "seed": 1,
    "uncertainty": False,
}
"""The second evaluation of a run."""
OF_FILE: dict[str, Any] = {"metrics": ["mig", "modularity"], "uncertainty": False}
"""The evaluation of a file."""


def file_of_codes(plan: Plan, number: int) -> bytes:
    """Codes that half follow their factors."""
    draws = np.random.default_rng([plan.seed, number])
    factors = draws.integers(0, 4, size=(400, 3))
    codes = factors @ draws.normal(size=(3, 5)) + draws.normal(size=(400, 5))
    return npz(codes=codes.astype(np.float32), factors=factors)


def experiments(plan: Plan) -> list[dict[str, Any]]:
    """Specs of a plan's runs; every size is a multiple of 16, so that places do not matter."""
    chance = random.Random(f"{plan.seed} experiments")
    specs = []
    for first in range(0, plan.runs, SWEEP):
        count = min(SWEEP, plan.runs - first)
        specs.append(
            {
                "dataset": "digits",
                "model": {"name": "mlp", "hidden": [64, 32], "latent_dim": 8},
                "objective": chance.choice(OBJECTIVES),
                "training": {
                    "steps": plan.steps,
                    "batch_size": 16,
                    "optimizer": {"name": "adam", "learning_rate": 1e-3},
                    "checkpoint_minutes": 0.008,
                },
                "evaluation": {
                    "metrics": ["mig", "elbo"],
                    "rows": 200,
                    "test_rows": 60,
                    "uncertainty": False,
                },
                "traversal": {"frames": 3},
                "sweep": {"seed": [first + number for number in range(count)]},
            }
        )
    return specs
