"""Training: the only loop."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import vmap

from ml.datasets.dataset import Dataset
from ml.networks.model import Model
from ml.networks.networks import StackedNetworks, build
from ml.networks.quick_layers import quickened
from ml.objectives.protocol import Loss, LossFunction, Step, Update, checked_updates
from ml.optimizers.protocol import Optimizer
from ml.recorder import (
    Checkpoint,
    NotKept,
    Progress,
    Recorder,
    Silent,
    Wish,
    continue_or_stop,
)
from ml.reproducibility.environment import default_device
from ml.spec.identity import cohort_key
from ml.spec.run_spec import RunSpec
from ml.training.feed import Feed, Inputs
from ml.training.precision import parsed
from ml.training.snapshots import snapshot_steps
from ml.training.state import Group, TrainingState, usable

CURVE_POINTS = 1000
"""About how many points a run's curves have."""

RETRY_SECONDS = 10.0
"""Longest wait from a checkpoint that could not be kept to the next one."""

CHECKPOINTS_REST = 2.0
"""Training takes at least this many times as long as the checkpoints of its runs do."""

MOST_REST = 5
"""To that end, the wait for a checkpoint grows to at most this many times the time between two."""


class NonFiniteLoss(ArithmeticError):
    """A loss, its gradient, weights or the optimizer's state became NaN or infinite.

    No update is made with such a gradient.
    """

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
    """The runs differ in more than numbers, and cannot be trained side by side."""


def train(
    run_spec: Mapping[str, Any] | RunSpec,
    recorder: Recorder | None = None,
    *,
    device: torch.device | None = None,
    data: Dataset | None = None,
) -> Model:
    """Train one model under one resolved spec and seed: a cohort of one.

    The same spec on the same device model, library versions and threads gives the same bits,
    however often training is interrupted by a wish of the recorder or a kill, and goes on from a
    checkpoint. If `data` is given, the spec's data set is not opened again.

    Raises:
        InvalidSpec: the spec cannot be run.
        NonFiniteLoss: a loss or gradient is NaN or infinite.
        UnmetNeeds: the data set cannot give the batches that the objective needs.
        UnfitChoice: the data set's choices do not fit it, or leave out too little to evaluate on.
        NoPopulation: every image is to be scored, but the images are no complete grid.
        WeightedEpochs: images are to be drawn by weights, but in epochs.
        Stopped: the recorder wished to pause or cancel. It was given a checkpoint before.
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

    Each run makes the same draws as when it is trained alone. Its numbers differ from that training
    only by rounding. At one `width` (the number of places in the tensors, by default the number of
    runs) its bits do not depend on its neighbours: a run that diverges, is stopped, or ends early
    leaves behind a place that no longer moves. Its bits do not depend on its place either, if batch
    size and widths of layers are multiples of 16. With other sizes, a CPU's vector instructions may
    round the last numbers of a place differently. A run that goes on from a checkpoint therefore
    gets its former place if it can. Runs may be at different steps.

    Yields:
        The index of each run when it ends, with its model or with the error that ended it:
        `NonFiniteLoss`, `Stopped`, or an error that its recorder raised.

    Raises:
        InvalidSpec: a spec cannot be run.
        UnlikeRuns: the specs differ in more than numbers (`ml.spec.identity.cohort_key`), or there
            are more of them than places.
        UnmetNeeds, WeightedEpochs: as `train`.
    """
    device = device or default_device()
    runs = [
        _Run(index, parsed(spec, recorder, device), recorder)
        for index, (spec, recorder) in enumerate(
            zip(run_specs, recorders or [Silent() for _ in run_specs], strict=True)
        )
    ]
    specs = [run.spec for run in runs]
    width = width or len(specs)
    _check_alike(specs, width)
    training = specs[0].training

    # The data set is kept on the training device; a batch is gathered there by index.
    data = data or _open_together(runs)
    yield from _ended(runs)
    if data is None:
        return

    # A run goes on from its newest checkpoint, in the place that it had then.
    for done, run in enumerate(runs):
        if run.moves:
            with _alone(run):
                run.checkpoint = usable(run.recorder.restore(), run.spec)
                if run.checkpoint is not None:
                    # Reading the checkpoints of many runs takes a while.
                    prepared = Progress("preparing", done + 1, len(runs))
                    continue_or_stop(run.recorder.progress(prepared))
    _take_places(runs, width)
    places = [specs[0]] * width  # A place without a run holds a copy of the first run.
    for run in runs:
        places[run.place] = run.spec

    # The objective is given networks, coefficients as tensors, batches and named draws.
    modules = quickened(build(specs[0], data.image_shape))
    updates = checked_updates(specs[0].objective.without_numbers())
    feed = Feed(places, updates, data, device)
    optimizers = {
        update.group: specs[0].optimizer_of(update.group).without_numbers() for update in updates
    }
    clips = torch.tensor(
        [[spec.training.gradient_clip or math.inf] for spec in places], device=device
    )
    clipped = any(spec.training.gradient_clip is not None for spec in specs)

    # Weights are drawn from the run's seed, unless they come from its checkpoint.
    state = TrainingState(places, modules, updates, device)
    for run in runs:
        if run.checkpoint is not None:
            with _alone(run):
                state.restore(run.place, run.checkpoint)
            run.checkpoint = None
            with _alone(run):
                # A version that did not check may have written the checkpoint.
                _check_finite(state, run.place)
        state.note_environment(run.place, device)
        run.first_step = state.steps[run.place]
        if run.moves and run.first_step >= training.steps:
            run.outcome = _model(run, state, data)
    yield from _ended(runs)

    curve_every = max(1, training.steps // CURVE_POINTS)
    began = time.monotonic()
    for run in runs:
        run.due = began + run.between_checkpoints

    while moving := [run for run in runs if run.moves]:
        # A run's draws depend only on its seed and step.
        inputs = feed.at(state.steps, [run.place for run in moving])

        # Each of the objective's updates is a loss, its gradient and an optimizer's step.
        carry: dict[str, Tensor] = {}
        found: dict[str, _Found] = {}
        for update in updates:
            group = state.groups[update.group]
            networks, leaf = _bound(specs[0], modules, state, update)
            loss = _losses(update.loss, networks, inputs, carry, len(data))
            (gradients,) = torch.autograd.grad(loss.value.sum(), leaf)
            norms = torch.linalg.vector_norm(gradients, dim=1)
            here = _Found(loss, loss.value.tolist(), norms.tolist())
            found[update.group] = here
            for run in moving:
                if run.moves and not here.is_finite(run.place):
                    terms = _terms({update.group: here}, run.place)
                    run.outcome = NonFiniteLoss(state.steps[run.place], terms)
            if clipped:
                gradients = gradients * (clips / (norms.unsqueeze(1) + 1e-6)).clamp(max=1.0)
            still = [run.place for run in moving if run.moves]
            _move(optimizers[update.group], group, gradients, inputs.scalars[update.group], still)
            carry |= {name: value.detach() for name, value in loss.carry.items()}

        # No step follows the last one, so its weights are checked by computing the losses again.
        after: dict[str, _Found] = {}
        if any(run.moves and state.steps[run.place] + 1 == training.steps for run in moving):
            after = _losses_now(specs[0], modules, state, updates, inputs, len(data))

        for run in moving:
            if not run.moves:
                continue
            state.steps[run.place] += 1
            step = state.steps[run.place]
            with _alone(run):
                # Once in a while: a point of the curves.
                if step % curve_every == 0 or step in (1, training.steps):
                    run.recorder.scalars(step, _terms(found, run.place))

                if step == training.steps:
                    for name, left in after.items():
                        if not left.is_finite(run.place):
                            raise NonFiniteLoss(step, _terms({name: left}, run.place))

                # At the steps of snapshots: the weights, for films.
                if step in run.snapshots:
                    _check_finite(state, run.place)
                    run.recorder.snapshot(step, _model(run, state, data).to_bytes())

                # At every step: report progress, and hear whether to go on.
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
                if wish is not Wish.CONTINUE or now >= run.due or step == training.steps:
                    wait = run.between_checkpoints
                    _check_finite(state, run.place)
                    try:
                        run.recorder.checkpoint(state.to_checkpoint(run.place, run.spec))
                    except NotKept:
                        wait = min(wait, RETRY_SECONDS)
                    else:
                        # On slow disks and with many runs, checkpoints would take most of the time
                        # without a rest. The rest is bounded, so that one checkpoint that took long
                        # does not prevent those after it.
                        rest = CHECKPOINTS_REST * len(moving) * (time.monotonic() - now)
                        wait = max(wait, min(rest, MOST_REST * wait))
                    run.due = time.monotonic() + wait
                    continue_or_stop(wish)
                if step == training.steps:
                    run.outcome = _model(run, state, data)
            # A run's end is reported at once, before the next run is looked at.
            yield from _ended([run])
        yield from _ended(runs)


@dataclass
class _Run:
    """One run of a cohort."""

    index: int
    spec: RunSpec
    recorder: Recorder
    checkpoint: Checkpoint | None = None
    """The checkpoint that the run goes on from; None once it is restored."""
    place: int = -1
    first_step: int = 0
    due: float = 0.0
    """When the next checkpoint is to be made, by `time.monotonic`."""
    outcome: Model | Exception | None = None
    reported: bool = False

    @property
    def moves(self) -> bool:
        return self.outcome is None

    @cached_property
    def snapshots(self) -> frozenset[int]:
        """Steps at which snapshots are kept."""
        return snapshot_steps(self.spec.training.steps, self.spec.training.snapshots)

    @property
    def between_checkpoints(self) -> float:
        """Seconds between two checkpoints."""
        return 60 * self.spec.training.checkpoint_minutes


@dataclass(frozen=True)
class _Found:
    """The results of one update, for every place."""

    loss: Loss
    losses: list[float]
    gradient_norms: list[float] | None = None
    """None if no gradient was computed."""

    def is_finite(self, place: int) -> bool:
        norms = self.gradient_norms
        return math.isfinite(self.losses[place] + (norms[place] if norms else 0.0))


def _check_alike(specs: Sequence[RunSpec], width: int) -> None:
    if not 1 <= len(specs) <= width:
        raise UnlikeRuns(f"expected 1 to {width} runs for {width} places, got {len(specs)}")
    if len({cohort_key(spec) for spec in specs}) > 1:
        raise UnlikeRuns(
            "the runs of a cohort may differ in numbers only (seed, coefficients, step sizes), not"
            " in data set, architecture, objective, optimizer, steps, batch size or precision"
        )
    names = {
        frozenset(spec.objective.coefficients(pixels=1, latents=spec.model.latent_dim))
        for spec in specs
    }
    if len(names) > 1:
        listed = "; ".join(", ".join(sorted(one)) for one in names)
        raise UnlikeRuns(f"{specs[0].objective.name} has other coefficients run by run: {listed}")


def _open_together(runs: Sequence[_Run]) -> Dataset | None:
    """The runs' data set, or None if every run stopped while it was prepared."""

    def report(done: int, total: int) -> None:
        for run in runs:
            if run.moves:
                with _alone(run):
                    continue_or_stop(run.recorder.progress(Progress("preparing", done, total)))
        if not any(run.moves for run in runs):
            raise _NobodyWaits

    try:
        data = runs[0].spec.dataset.open(report)
    except _NobodyWaits:
        return None
    # What an evaluation cannot be made on ends a run now, and not when it is trained.
    for run in runs:
        asked = run.spec.evaluation
        if run.moves and (asked.images == "left_out" or asked.rows == "all"):
            with _alone(run):
                part = asked.images
                scored = data if part == "chosen" else run.spec.dataset.open(part=part)
                if asked.rows == "all":
                    scored.check_population()
    return data


class _NobodyWaits(Exception):
    """Every run has stopped while the data were prepared."""


def _take_places(runs: Sequence[_Run], width: int) -> None:
    """Give each run the place of its checkpoint if it is free, and the other runs the rest."""
    free = list(range(width))
    for run in runs:
        made = run.checkpoint.document if run.checkpoint else {}
        if made.get("width") == width and made["place"] in free:
            run.place = made["place"]
            free.remove(run.place)
    for run in runs:
        if run.place < 0:
            run.place = free.pop(0)


@contextmanager
def _alone(run: _Run) -> Iterator[None]:
    """Make an error end this run and none of its neighbours."""
    try:
        yield
    except Exception as error:
        run.outcome = error


def _ended(runs: Sequence[_Run]) -> Iterator[tuple[int, Model | Exception]]:
    """Index and outcome of the runs that have ended since the last call."""
    for run in runs:
        if run.outcome is not None and not run.reported:
            run.reported = True
            yield run.index, run.outcome


def _bound(
    spec: RunSpec, modules: Mapping[str, nn.Module], state: TrainingState, update: Update
) -> tuple[StackedNetworks, Tensor]:
    """The networks, and the leaf of a new graph that holds the update's own parameters."""
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
    """The loss of every place.

    A run's loss does not depend on another's parameters, so the gradient of the sum of all losses
    has every run's own gradient.
    """

    def of_one(*tensors: Any) -> Loss:
        images, seen, supervision, draws, coefficients, done, handed_on = tensors
        step = Step(images, population, draws, coefficients, done, handed_on, seen, **supervision)
        found = loss(networks, step)
        return Loss(found.value, dict(found.terms), dict(found.carry))

    found = vmap(of_one)(
        inputs.images,
        inputs.seen,
        inputs.supervision,
        inputs.draws,
        inputs.coefficients,
        inputs.done,
        dict(carry),
    )
    assert isinstance(found, Loss)
    return found


def _losses_now(
    spec: RunSpec,
    modules: Mapping[str, nn.Module],
    state: TrainingState,
    updates: Sequence[Update],
    inputs: Inputs,
    population: int,
) -> dict[str, _Found]:
    """Each update's loss on these inputs, with the current weights."""
    carry: dict[str, Tensor] = {}
    found = {}
    with torch.no_grad():
        for update in updates:
            networks, _ = _bound(spec, modules, state, update)
            loss = _losses(update.loss, networks, inputs, carry, population)
            found[update.group] = _Found(loss, loss.value.tolist())
            carry |= loss.carry
    return found


def _check_finite(state: TrainingState, place: int) -> None:
    """Raise `NonFiniteLoss` if a place's weights or optimizer state are not finite."""
    if broken := state.not_finite(place):
        raise NonFiniteLoss(state.steps[place], dict.fromkeys(broken, math.nan))


def _move(
    optimizer: Optimizer,
    group: Group,
    gradients: Tensor,
    scalars: Mapping[str, Tensor],
    places: Sequence[int],
) -> None:
    """Make one step of the optimizer in these places. The others keep their bits."""
    with torch.no_grad():
        if len(places) == len(gradients):
            optimizer.update(group.parameters, gradients, group.moments, scalars)
            return
        index = torch.tensor(places, device=gradients.device, dtype=torch.int64)
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
    """Every update's loss, gradient norm and terms as scalars. A vector gives a tag a latent."""
    scalars: dict[str, float] = {}
    for group, one in found.items():
        prefix = "" if group == "model" else f"{group}_"
        scalars[f"{prefix}loss"] = one.losses[place]
        if one.gradient_norms:
            scalars[f"{prefix}gradient_norm"] = one.gradient_norms[place]
        for name, values in one.loss.terms.items():
            if values.dim() == 1:
                scalars[name] = values[place].item()
            else:
                listed = enumerate(values[place].tolist())
                scalars |= {f"{name}/{latent}": value for latent, value in listed}
    return scalars
