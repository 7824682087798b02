"""Training: the only loop."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import vmap

from ml.dataset import Dataset
from ml.environment import default_device
from ml.feed import Feed, Inputs
from ml.identity import cohort_key
from ml.model import Model
from ml.networks import StackedNetworks, build
from ml.objective import Loss, LossFunction, Step, Update, checked_updates
from ml.optimizer import Optimizer
from ml.recorder import Progress, Recorder, Silent, Stopped, Wish, continue_or_stop
from ml.spec import RunSpec
from ml.training_state import Group, TrainingState, optimizer_of

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


class UnlikeRuns(ValueError):
    """Runs that do not differ in numbers alone cannot be trained side by side."""


def train(
    run_spec: Mapping[str, Any] | RunSpec,
    recorder: Recorder | None = None,
    *,
    device: torch.device | None = None,
    data: Dataset | None = None,
) -> Model:
    """Train one model under one resolved spec and seed: a cohort of one.

    The same spec on the same device model, library versions and threads gives the same bits,
    however often a wish of the recorder or a kill interrupts it and a checkpoint takes it up again.
    `data` spares opening the spec's data set again.

    Raises:
        InvalidSpec: the spec cannot be run.
        NonFiniteLoss: a loss or gradient is NaN or infinite.
        Stopped: the recorder wished to pause or cancel; it was given a checkpoint before.
    """
    [(_, outcome)] = train_cohort([run_spec], [recorder or Silent()], device=device, data=data)
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def train_cohort(
    run_specs: Sequence[Mapping[str, Any] | RunSpec],
    recorders: Sequence[Recorder] | None = None,
    *,
    width: int | None = None,
    device: torch.device | None = None,
    data: Dataset | None = None,
) -> Iterator[tuple[int, Model | Exception]]:
    """Train runs that differ only in numbers side by side, in the same tensors.

    Each run draws what it would draw alone and differs from it by rounding. At one `width`
    (places in the tensors, by default as many as runs) its bits do not depend on its place nor on
    its neighbours: a run that diverges, is stopped, or ends early leaves a place that does not
    move, and a run taken up from a checkpoint may stand at a step of its own.

    Yields:
        The index of a run as it ends, with its model, or with what ended it: `NonFiniteLoss`,
        `Stopped`, or what its recorder raised.

    Raises:
        InvalidSpec: a spec cannot be run.
        UnlikeRuns: the specs differ in more than numbers (`ml.identity.cohort_key`), or are more
            than there are places.
    """
    specs = [RunSpec.parse(spec) for spec in run_specs]
    width = width or len(specs)
    _check_alike(specs, width)
    runs = [
        _Run(place, spec, recorder)
        for place, (spec, recorder) in enumerate(
            zip(specs, recorders or [Silent() for _ in specs], strict=True)
        )
    ]
    device = device or default_device()
    training = specs[0].training

    # The data lie on the training device; a batch is gathered there by index.
    data = data or _open_together(runs)

    # What the objective is given: networks, coefficients as tensors, batches, named draws. Places
    # without a run hold a copy of the first.
    places = [*specs, *[specs[0]] * (width - len(specs))]
    modules = build(specs[0], data.image_shape)
    updates = checked_updates(specs[0].objective.without_numbers())
    feed = Feed(places, updates, data, device)
    optimizers = {
        update.group: optimizer_of(update.group, specs[0]).without_numbers() for update in updates
    }
    clips = torch.tensor(
        [[spec.training.gradient_clip or math.inf] for spec in places], device=device
    )
    clipped = any(spec.training.gradient_clip is not None for spec in specs)

    # A run goes on from its newest checkpoint, else from weights drawn by its seed.
    state = TrainingState(places, modules, updates, device)
    for run in runs:
        with _alone(run):
            checkpoint = run.recorder.restore()
            if checkpoint:
                state.restore(run.place, run.spec, checkpoint)
        state.note_environment(run.place, device)
        run.first_step = state.steps[run.place]
        if run.moves and state.steps[run.place] >= training.steps:
            run.outcome = _model(run, state, data)
    yield from _ended(runs)

    curve_every = max(1, training.steps // CURVE_POINTS)
    began = time.monotonic()
    for run in runs:
        run.saved = began

    while moving := [run for run in runs if run.moves]:
        # What a step draws depends on a run's seed and step alone.
        inputs = feed.at(state.steps, [run.place for run in moving])

        # The objective's updates, in order: a loss, its gradient, an optimizer's step.
        carry: dict[str, Tensor] = {}
        found: dict[str, _Found] = {}
        for update in updates:
            group = state.groups[update.group]
            networks, leaf = _bound(specs[0], modules, state, update)
            loss = _losses(update.loss, networks, inputs, carry, len(data))
            (gradients,) = torch.autograd.grad(loss.value.sum(), leaf)
            norms = torch.linalg.vector_norm(gradients, dim=1)
            found[update.group] = _Found(loss, norms, loss.value.tolist(), norms.tolist())
            for run in moving:
                if not found[update.group].is_finite(run.place):
                    terms = _terms({update.group: found[update.group]}, run.place)
                    run.outcome = NonFiniteLoss(state.steps[run.place], terms)
            if clipped:
                gradients = gradients * (clips / (norms.unsqueeze(1) + 1e-6)).clamp(max=1.0)
            rows = [run.place for run in moving if run.moves]
            optimizer = optimizers[update.group]
            _move(optimizer, group, gradients, inputs.scalars[update.group], rows)
            carry |= {name: value.detach() for name, value in loss.carry.items()}

        for run in moving:
            if not run.moves:
                continue
            state.steps[run.place] += 1
            step = state.steps[run.place]
            with _alone(run):
                # Once in a while: a point of the curves.
                if step % curve_every == 0 or step in (1, training.steps):
                    run.recorder.scalars(step, _terms(found, run.place))

                # At every step: say where we are, and hear what is wanted.
                now = time.monotonic()
                per_step = (now - began) / (step - run.first_step)
                wish = run.recorder.progress(
                    Progress(
                        "training",
                        step,
                        training.steps,
                        images_per_second=training.batch_size / per_step,
                        eta_seconds=(training.steps - step) * per_step,
                        loss=found["model"].losses[run.place],
                    )
                )

                # Once in a while, at the end, and before stopping: a checkpoint.
                minutes = run.spec.training.checkpoint_minutes
                due = now - run.saved >= 60 * minutes or step == training.steps
                if wish is not Wish.CONTINUE or due:
                    run.recorder.checkpoint(state.to_checkpoint(run.place, run.spec))
                    run.saved = time.monotonic()
                    continue_or_stop(wish)
                if step == training.steps:
                    run.outcome = _model(run, state, data)
        yield from _ended(runs)


def open_data(spec: RunSpec, recorder: Recorder) -> Dataset:
    """The spec's data set, with progress while it is prepared. Raises `Stopped`."""
    return spec.dataset.open(
        lambda done, total: continue_or_stop(recorder.progress(Progress("preparing", done, total)))
    )


@dataclass
class _Run:
    """One run of a cohort."""

    place: int
    spec: RunSpec
    recorder: Recorder
    first_step: int = 0
    saved: float = 0.0
    """When its last checkpoint was made."""
    outcome: Model | Exception | None = None
    told: bool = False

    @property
    def moves(self) -> bool:
        return self.outcome is None


@dataclass(frozen=True)
class _Found:
    """What one update came to, for every place."""

    loss: Loss
    norms: Tensor
    losses: list[float]
    gradient_norms: list[float]

    def is_finite(self, place: int) -> bool:
        return math.isfinite(self.losses[place] + self.gradient_norms[place])


def _check_alike(specs: Sequence[RunSpec], width: int) -> None:
    if not 1 <= len(specs) <= width:
        raise UnlikeRuns(f"expected 1 to {width} runs for {width} places, got {len(specs)}")
    if len({cohort_key(spec) for spec in specs}) > 1:
        raise UnlikeRuns(
            "the runs of a cohort may differ in numbers only (seed, coefficients, step sizes), not"
            " in data set, architecture, objective, optimizer, steps, batch size or precision"
        )


def _open_together(runs: Sequence[_Run]) -> Dataset:
    """The runs' data set; the preparation ends when none of them wants it any more."""

    def tell(done: int, total: int) -> None:
        for run in runs:
            if run.moves:
                with _alone(run):
                    continue_or_stop(run.recorder.progress(Progress("preparing", done, total)))
        if not any(run.moves for run in runs):
            raise Stopped(Wish.PAUSE)

    return runs[0].spec.dataset.open(tell)


@contextmanager
def _alone(run: _Run) -> Iterator[None]:
    """What a run's recorder raises ends that run, and none of its neighbours."""
    try:
        yield
    except Exception as error:
        run.outcome = error


def _ended(runs: Sequence[_Run]) -> Iterator[tuple[int, Model | Exception]]:
    """Runs that have ended since this was last asked, with how."""
    for run in runs:
        if run.outcome is not None and not run.told:
            run.told = True
            yield run.place, run.outcome


def _bound(
    spec: RunSpec, modules: Mapping[str, nn.Module], state: TrainingState, update: Update
) -> tuple[StackedNetworks, Tensor]:
    """The networks with the update's own parameters as one leaf of a new graph, and this leaf."""
    parameters = state.parameters()
    group = state.groups[update.group]
    leaf = group.parameters.detach().requires_grad_()
    for path, tensor in group.layout.unpack(leaf).items():
        network, _, name = path.partition("/")
        parameters[network][name] = tensor
    return StackedNetworks(spec, modules, parameters, spec.training.precision), leaf


def _losses(
    loss: LossFunction,
    networks: StackedNetworks,
    inputs: Inputs,
    carry: Mapping[str, Tensor],
    population: int,
) -> Loss:
    """The loss of every place. No run's gradient depends on another's: the sum has them all."""

    def of_one(*tensors: Any) -> Loss:
        images, draws, coefficients, handed_on = tensors
        found = loss(networks, Step(images, population, draws, coefficients, handed_on))
        return Loss(found.value, dict(found.terms), dict(found.carry))

    found = vmap(of_one)(inputs.images, inputs.draws, inputs.coefficients, dict(carry))
    assert isinstance(found, Loss)
    return found


def _move(
    optimizer: Optimizer,
    group: Group,
    gradients: Tensor,
    scalars: Mapping[str, Tensor],
    rows: Sequence[int],
) -> None:
    """One step of the optimizer on these rows; the others stay as they are, bit for bit."""
    with torch.no_grad():
        if len(rows) == len(gradients):
            optimizer.update(group.parameters, gradients, group.moments, scalars)
            return
        index = torch.tensor(rows, device=gradients.device, dtype=torch.int64)
        parameters = group.parameters[index]
        moments = {slot: matrix[index] for slot, matrix in group.moments.items()}
        chosen = {name: values[index] for name, values in scalars.items()}
        optimizer.update(parameters, gradients[index], moments, chosen)
        group.parameters[index] = parameters
        for slot, matrix in moments.items():
            group.moments[slot][index] = matrix


def _model(run: _Run, state: TrainingState, data: Dataset) -> Model:
    history = state.histories[run.place]
    record = {
        "history": history,
        "precision": run.spec.training.precision,
        "width": len(state.steps),
    }
    return Model(
        run.spec, data.image_shape, state.parameters_of(run.place), state.steps[run.place], record
    )


def _terms(found: Mapping[str, _Found], place: int) -> dict[str, float]:
    """Every update's loss, gradient norm and terms as scalars; one tag a latent for vectors."""
    scalars: dict[str, float] = {}
    for group, one in found.items():
        prefix = "" if group == "model" else f"{group}_"
        scalars[f"{prefix}loss"] = one.losses[place]
        scalars[f"{prefix}gradient_norm"] = one.gradient_norms[place]
        for name, values in one.loss.terms.items():
            if values.dim() == 1:
                scalars[name] = values[place].item()
            else:
                listed = enumerate(values[place].tolist())
                scalars |= {f"{name}/{latent}": value for latent, value in listed}
    return scalars
