"""Optimizers against torch's own, and on rows that are several runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from ml.components.registry import components, find
from ml.optimizers._adaptive_moments import by_formula
from ml.optimizers.adam import Adam
from ml.optimizers.protocol import Optimizer

NUMBERS = 18

# Each with numbers away from the defaults, and the same thing as torch has it.
CASES: list[tuple[dict[str, Any], type[torch.optim.Optimizer], dict[str, Any]]] = [
    (
        {"name": "adam", "learning_rate": 0.01, "betas": (0.8, 0.99), "eps": 1e-6},
        torch.optim.Adam,
        {"lr": 0.01, "betas": (0.8, 0.99), "eps": 1e-6},
    ),
    (
        {"name": "adam", "learning_rate": 0.01, "weight_decay": 0.1},
        torch.optim.Adam,
        {"lr": 0.01, "weight_decay": 0.1},
    ),
    (
        {"name": "adamw", "learning_rate": 0.01, "betas": (0.8, 0.99), "weight_decay": 0.2},
        torch.optim.AdamW,
        {"lr": 0.01, "betas": (0.8, 0.99), "weight_decay": 0.2},
    ),
    ({"name": "sgd", "learning_rate": 0.1}, torch.optim.SGD, {"lr": 0.1}),
    (
        {"name": "sgd", "learning_rate": 0.1, "momentum": 0.9, "weight_decay": 0.1},
        torch.optim.SGD,
        {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1},
    ),
    (
        {"name": "sgd", "learning_rate": 0.1, "momentum": 0.9, "nesterov": True},
        torch.optim.SGD,
        {"lr": 0.1, "momentum": 0.9, "nesterov": True},
    ),
    (
        {"name": "rmsprop", "learning_rate": 0.01, "alpha": 0.9, "eps": 1e-4, "momentum": 0.5},
        torch.optim.RMSprop,
        {"lr": 0.01, "alpha": 0.9, "eps": 1e-4, "momentum": 0.5},
    ),
    (
        {"name": "rmsprop", "learning_rate": 0.01, "weight_decay": 0.1},
        torch.optim.RMSprop,
        {"lr": 0.01, "weight_decay": 0.1},
    ),
]


def made(params: Mapping[str, Any]) -> Optimizer:
    optimizer = find("optimizer", params["name"]).model_validate(params)
    assert isinstance(optimizer, Optimizer)
    return optimizer


def state_of(optimizer: Optimizer, rows: int) -> dict[str, Tensor]:
    return {slot: torch.zeros(rows, NUMBERS) for slot in optimizer.slots}


def stacked(scalars: list[dict[str, float]]) -> dict[str, Tensor]:
    return {name: torch.tensor([[one[name]] for one in scalars]) for name in scalars[0]}


def gradients(step: int, row: int = 0) -> Tensor:
    return torch.randn(NUMBERS, generator=torch.Generator().manual_seed(100 * row + step))


@pytest.mark.parametrize(("params", "theirs", "arguments"), CASES)
def test_it_moves_as_torchs_own(
    params: dict[str, Any], theirs: type[torch.optim.Optimizer], arguments: dict[str, Any]
) -> None:
    optimizer = made(params)
    start = torch.randn(NUMBERS, generator=torch.Generator().manual_seed(7))
    ours, reference = start[None].clone(), start.clone().requires_grad_()
    state, other = state_of(optimizer, 1), theirs([reference], foreach=False, **arguments)  # type: ignore[call-arg]
    for step in range(50):
        reference.grad = gradients(step)
        other.step()
        scalars = stacked([optimizer.scalars(step=step, factor=1.0)])
        optimizer.without_numbers().update(ours, gradients(step)[None], state, scalars)
    torch.testing.assert_close(ours[0], reference.detach(), rtol=1e-5, atol=1e-6)


def test_every_optimizer_is_held_against_torchs() -> None:
    assert {params["name"] for params, _, _ in CASES} == set(components("optimizer"))


@pytest.mark.parametrize("name", components("optimizer"))
def test_rows_move_each_by_its_own_numbers_and_as_they_would_alone(name: str) -> None:
    runs = [made({"name": name, "learning_rate": rate}) for rate in (0.1, 0.01, 0.003)]
    factors, first_steps = (1.0, 0.5, 2.0), (0, 3, 400)
    together = torch.ones(3, NUMBERS)
    state = state_of(runs[0], 3)
    for step in range(20):
        scalars = stacked(
            [
                run.scalars(step=first + step, factor=factor)
                for run, factor, first in zip(runs, factors, first_steps, strict=True)
            ]
        )
        rows = torch.stack([gradients(step, row) for row in range(3)])
        runs[0].without_numbers().update(together, rows, state, scalars)
    for row, (run, factor, first) in enumerate(zip(runs, factors, first_steps, strict=True)):
        alone, own = torch.ones(1, NUMBERS), state_of(run, 1)
        for step in range(20):
            scalars = stacked([run.scalars(step=first + step, factor=factor)])
            run.without_numbers().update(alone, gradients(step, row)[None], own, scalars)
        torch.testing.assert_close(together[row], alone[0], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", components("optimizer"))
def test_a_schedules_factor_is_a_factor_of_the_learning_rate(name: str) -> None:
    decay = {"weight_decay": 0.1}
    halved = made({"name": name, "learning_rate": 0.02, **decay}).scalars(step=3, factor=0.5)
    plain = made({"name": name, "learning_rate": 0.01, **decay}).scalars(step=3, factor=1.0)
    assert halved == pytest.approx(plain)


def test_the_first_step_of_adam_is_the_learning_rate_against_the_sign_of_the_gradient() -> None:
    # m^ / (sqrt(v^) + eps) = g / |g| at the first step.
    adam = Adam(learning_rate=0.25)
    parameters = torch.tensor([[1.0, 1.0]])
    state = {slot: torch.zeros(1, 2) for slot in adam.slots}
    scalars = stacked([adam.scalars(step=0, factor=2.0)])
    adam.update(parameters, torch.tensor([[3.0, -0.5]]), state, scalars)
    torch.testing.assert_close(parameters, torch.tensor([[0.5, 1.5]]))


def test_the_scale_of_adams_moments_keeps_its_digits() -> None:
    # 1 - 0.999 in float32 has four right digits; the numbers are made in double precision.
    scalars = Adam(learning_rate=1.0).scalars(step=0, factor=1.0)
    assert scalars["scale"] == pytest.approx(1 / 0.001**0.5, rel=1e-12)
    assert scalars["rate"] == pytest.approx(1 / 0.1, rel=1e-12)


def test_on_a_cpu_adam_moves_as_by_the_formula_for_all_runs_at_once() -> None:
    # The runs differ in every number, and the last has made many steps.
    runs = [
        Adam(learning_rate=1e-2, betas=(0.8, 0.99), eps=1e-6).scalars(step=0, factor=1.0),
        Adam(learning_rate=1e-4, betas=(0.9, 0.999), eps=1e-8).scalars(step=3, factor=0.5),
        Adam(learning_rate=1.0, betas=(0.0, 0.0), eps=1.0).scalars(step=10**6, factor=1.0),
    ]
    scalars, optimizer = stacked(runs), Adam().without_numbers()
    start = torch.stack([gradients(9, row) for row in range(3)])
    ours, state = start.clone(), state_of(optimizer, 3)
    theirs, other = start.clone(), state_of(optimizer, 3)
    for step in range(5):
        moved = torch.stack([gradients(step, row) for row in range(3)])
        optimizer.update(ours, moved.clone(), state, scalars)
        by_formula(theirs, moved.clone(), other["first"], other["second"], scalars)
        for slot, tensor in other.items():
            torch.testing.assert_close(state[slot], tensor, rtol=1e-6, atol=1e-7)
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)
    assert not torch.allclose(ours, start)
