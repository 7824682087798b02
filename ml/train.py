"""Training: the only loop."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm

from ml.dataset import Dataset
from ml.draws import Stream
from ml.environment import default_device
from ml.model import Model
from ml.networks import BoundNetworks, build
from ml.objective import Batch, Draw, Loss, Update, checked_updates
from ml.recorder import Progress, Recorder, Silent, Wish, continue_or_stop
from ml.resident import ResidentImages
from ml.spec import RunSpec
from ml.training_state import (
    TrainingState,
    from_checkpoint,
    initial_state,
    optimizer_of,
    to_checkpoint,
)

CURVE_POINTS = 1000
"""A run's curves have about this many points."""


class NonFiniteLoss(ArithmeticError):
    """A loss or its gradient became NaN or infinite; the optimizer did not move."""

    advice = (
        "lower training.optimizer.learning_rate, set training.gradient_clip (for instance 100),"
        " or lower the objective's weights"
    )

    def __init__(self, step: int, terms: Mapping[str, float]) -> None:
        self.step, self.terms = step, dict(terms)
        bad = ", ".join(name for name, value in terms.items() if not math.isfinite(value))
        listed = ", ".join(f"{name} {value:g}" for name, value in terms.items())
        super().__init__(f"not finite at step {step}: {bad} (all terms: {listed})")


def train(
    run_spec: Mapping[str, Any] | RunSpec,
    recorder: Recorder | None = None,
    *,
    device: torch.device | None = None,
    data: Dataset | None = None,
) -> Model:
    """Train one model under one resolved spec and seed.

    The same spec on the same device model, library versions and threads gives the same bits,
    however often a wish of the recorder or a kill interrupts it and a checkpoint takes it up again.
    `data` spares opening the spec's data set again.

    Raises:
        InvalidSpec: the spec cannot be run.
        NonFiniteLoss: a loss or gradient is NaN or infinite.
        Stopped: the recorder wished to pause or cancel; it was given a checkpoint before.
    """
    spec = RunSpec.parse(run_spec)
    recorder = recorder or Silent()
    device = device or default_device()
    training, objective, latents = spec.training, spec.objective, spec.model.latent_dim

    # The data lie on the training device; a batch is gathered there by index.
    data = data or open_data(spec, recorder)
    images = ResidentImages(data, device)

    # What the objective is given: networks, coefficients as tensors, batches, named draws.
    modules = build(spec, data.image_shape)
    updates, needs = checked_updates(objective), objective.needs()
    weights = objective.coefficients(pixels=math.prod(data.image_shape), latents=latents)
    coefficients = {name: torch.tensor(value, device=device) for name, value in weights.items()}
    batches = [_batches(spec, number, len(data)) for number in range(needs.batches)]
    draws = {name: _draws(spec, name, draw) for name, draw in needs.draws.items()}

    # A run goes on from its newest checkpoint, else from weights drawn by its seed.
    checkpoint = recorder.restore()
    if checkpoint:
        state = from_checkpoint(spec, checkpoint, device)
    else:
        state = initial_state(spec, modules, updates, device)
    state.note_environment(device)

    curve_every = max(1, training.steps // CURVE_POINTS)
    first_step, began = state.step, time.monotonic()
    saved = began

    while state.step < training.steps:
        # What a step draws depends on the seed and the step alone.
        step = state.step
        batch = Batch(tuple(images.gather(stream.at(step)) for stream in batches))
        drawn = {
            name: torch.from_numpy(stream.at(step)).to(device, copy=True)
            for name, stream in draws.items()
        }
        coefficients["step"] = torch.tensor(float(step), device=device)

        # The objective's updates, in order: a loss, its gradient, an optimizer's step.
        factor = training.schedule.factor(step, training.steps)
        carry: dict[str, Tensor] = {}
        losses: dict[str, tuple[Loss, Tensor]] = {}
        for update in updates:
            group = state.group(update.group)
            networks, leaves = _bound(spec, modules, state, update)
            loss = update.loss(networks, batch, drawn, coefficients, carry)
            gradients = torch.autograd.grad(loss.value, list(leaves.values()))
            norm = get_total_norm(gradients)
            if not math.isfinite(loss.value.item() + norm.item()):
                raise NonFiniteLoss(step, _terms({update.group: (loss, norm)}))
            if training.gradient_clip is not None:
                scale = (training.gradient_clip / (norm + 1e-6)).clamp(max=1.0)
                gradients = tuple(gradient * scale for gradient in gradients)
            optimizer_of(update, spec).update(
                group,
                dict(zip(leaves, gradients, strict=True)),
                state.moments[update.group],
                step=step,
                factor=factor,
            )
            carry |= {name: value.detach() for name, value in loss.carry.items()}
            losses[update.group] = (loss, norm)
        state.step = step + 1

        # Once in a while: a point of the curves.
        if state.step % curve_every == 0 or state.step in (1, training.steps):
            recorder.scalars(state.step, _terms(losses))

        # At every step: say where we are, and hear what is wanted.
        now = time.monotonic()
        per_step = (now - began) / (state.step - first_step)
        wish = recorder.progress(
            Progress(
                "training",
                state.step,
                training.steps,
                images_per_second=training.batch_size / per_step,
                eta_seconds=(training.steps - state.step) * per_step,
                loss=losses["model"][0].value.item(),
            )
        )

        # Once in a while, at the end, and before stopping: a checkpoint.
        due = now - saved >= 60 * training.checkpoint_minutes or state.step == training.steps
        if wish is not Wish.CONTINUE or due:
            recorder.checkpoint(to_checkpoint(spec, state))
            saved = time.monotonic()
            continue_or_stop(wish)

    record = {"history": state.history, "precision": training.precision, "width": 1}
    return Model(spec, data.image_shape, state.parameters, state.step, record)


def open_data(spec: RunSpec, recorder: Recorder) -> Dataset:
    """The spec's data set, with progress while it is prepared. Raises `Stopped`."""
    return spec.dataset.open(
        lambda done, total: continue_or_stop(recorder.progress(Progress("preparing", done, total)))
    )


def _batches(spec: RunSpec, number: int, images: int) -> Stream[Any]:
    size = spec.training.batch_size
    return Stream(spec.seed, f"batch {number}", lambda draws: draws.integers(0, images, size=size))


def _draws(spec: RunSpec, name: str, draw: Draw) -> Stream[Any]:
    size, latents = spec.training.batch_size, spec.model.latent_dim
    return Stream(
        spec.seed, f"draw {name}", lambda draws: draw.sample(draws, batch=size, latents=latents)
    )


def _bound(
    spec: RunSpec, modules: Mapping[str, torch.nn.Module], state: TrainingState, update: Update
) -> tuple[BoundNetworks, dict[str, Tensor]]:
    """The networks with the update's own parameters as leaves of a new graph, and these leaves."""
    bound = {network: dict(named) for network, named in state.parameters.items()}
    leaves = {
        path: tensor.detach().requires_grad_() for path, tensor in state.group(update.group).items()
    }
    for path, leaf in leaves.items():
        network, _, name = path.partition("/")
        bound[network][name] = leaf
    return BoundNetworks(modules, bound, spec.training.precision), leaves


def _terms(losses: Mapping[str, tuple[Loss, Tensor]]) -> dict[str, float]:
    """Every update's loss, gradient norm and terms as scalars; one tag a latent for vectors."""
    scalars: dict[str, float] = {}
    for group, (loss, norm) in losses.items():
        prefix = "" if group == "model" else f"{group}_"
        scalars[f"{prefix}loss"] = loss.value.item()
        scalars[f"{prefix}gradient_norm"] = norm.item()
        for name, values in loss.terms.items():
            if values.dim() == 0:
                scalars[name] = values.item()
            else:
                scalars |= {f"{name}/{place}": value for place, value in enumerate(values.tolist())}
    return scalars
