"""The jobs: small sweeps on digits."""

from __future__ import annotations

import random
from typing import Any

from tests.chaos.fire import Plan

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
                    "checkpoint_minutes": 0.005,
                },
                "evaluation": {"metrics": ["mig", "elbo"], "rows": 200, "test_rows": 60},
                "traversal": {"frames": 3},
                "sweep": {"seed": [first + number for number in range(count)]},
            }
        )
    return specs
