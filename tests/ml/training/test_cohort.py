"""Cohorts: many runs in the same tensors, each as it would be alone."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from ml.components.registry import components
from ml.datasets.protocol import dataset
from ml.networks import tensor_file
from ml.networks.model import Model
from ml.networks.networks import build
from ml.objectives import factor_vae
from ml.objectives.protocol import checked_updates
from ml.recorder import Checkpoint, Progress, Stopped, Wish
from ml.spec.identity import cohort_key
from ml.spec.run_spec import RunSpec
from ml.training.feed import Feed, Inputs
from ml.training.loop import NonFiniteLoss, UnlikeRuns, train, train_cohort
from ml.training.state import TrainingState
from tests.ml.objectives.test_objectives import VARIED
from tests.ml.recorders import Kept

DIGITS = dataset("digits", size=32)
WIDE = dataset("digits")
CPU = torch.device("cpu")


def spec(objective: Any = "beta_vae", *, seed: int = 0, **training: Any) -> dict[str, Any]:
    """A run of milliseconds a step."""
    return {
        "dataset": {"name": "digits", "size": 32},
        "model": {"name": "mlp", "hidden": [24], "latent_dim": 4},
        "objective": objective,
        "training": {
            "steps": 8,
            "batch_size": 16,
            "optimizer": {"name": "adam", "learning_rate": 1e-3},
            **training,
        },
        "seed": seed,
    }


# Numbers that are there in one run of a cohort are there in all.
PLAIN = {"dip_vae_i": {"lambda_d": 50.0}, "dip_vae_ii": {"lambda_d": 5.0}}


def several(name: str, **training: Any) -> list[dict[str, Any]]:
    """Three runs of an objective, of which the second has all its numbers changed."""
    plain = {"name": name, **PLAIN.get(name, {})}
    changed = {"name": name, **VARIED.get(name, {})}
    adam = {"name": "adam", "learning_rate": 3e-3, "betas": [0.8, 0.99], "eps": 1e-6}
    rise = {"name": "warm_up", "over": 10, "start": 0.5}
    varied = {
        "optimizer": adam,
        "gradient_clip": 50,
        "schedule": {"name": "cosine"},
        "coefficients": dict.fromkeys(VARIED.get(name, {}), rise),
    }
    return [
        spec(plain, **training),
        spec(changed, seed=1, **{**training, **varied}),
        spec(plain, seed=2, **training),
    ]


def trained(
    specs: Sequence[Mapping[str, Any] | RunSpec],
    recorders: Sequence[Kept] | None = None,
    *,
    width: int | None = None,
    data: Any = DIGITS,
) -> tuple[list[Model | Exception], list[Kept]]:
    """Each run's outcome and what its recorder kept, in the order of the specs."""
    kept = list(recorders or [Kept() for _ in specs])
    outcomes = dict(train_cohort(specs, kept, width=width, data=data))
    return [outcomes[place] for place in range(len(specs))], kept


def ends(
    specs: Sequence[Mapping[str, Any] | RunSpec], *, width: int | None = None, data: Any = DIGITS
) -> list[dict[str, bytes]]:
    """Where each run ended: the bits of its weights and of its optimizer's state."""
    return [end(kept) for kept in trained(specs, width=width, data=data)[1]]


def end(kept: Kept) -> dict[str, bytes]:
    """The bits of the last checkpoint, whatever its place was."""
    checkpoint = Kept(start=kept.files[-1]).restore()
    assert checkpoint is not None
    bits = {name: tensor.numpy().tobytes() for name, tensor in checkpoint.tensors.items()}
    return {**bits, "step": str(checkpoint.step).encode()}


#: Processors without bfloat16 take ten times as long.
IN_EACH_PRECISION = pytest.mark.parametrize(
    "precision", ["float32", pytest.param("bfloat16", marks=pytest.mark.slow)]
)


@pytest.fixture(autouse=True)
def one_thread_and_a_small_discriminator(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(factor_vae, "WIDTH", 16)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        # vmap warns where it falls back to a loop over the runs.
        warnings.simplefilter("error")
        yield
    torch.set_num_threads(before)


# A run of a cohort is given exactly what it would be given alone.


def inputs(specs: Sequence[Mapping[str, Any]], steps: Sequence[int]) -> Inputs:
    runs = [RunSpec.parse(one) for one in specs]
    feed = Feed(runs, checked_updates(runs[0].objective), DIGITS, CPU)
    return feed.at(steps, range(len(runs)))


def digests(given: Inputs, place: int) -> dict[str, str]:
    tensors = {f"images {k}": tensor for k, tensor in enumerate(given.images)}
    tensors |= {f"seen {k}": tensor for k, tensor in enumerate(given.seen)}
    tensors |= given.draws | given.coefficients | {"done": given.done} | given.supervision
    for group, scalars in given.scalars.items():
        tensors |= {f"{group} {name}": values for name, values in scalars.items()}
    return {
        name: hashlib.sha256(np.ascontiguousarray(tensor[place].numpy()).tobytes()).hexdigest()
        for name, tensor in tensors.items()
    }


@pytest.mark.parametrize("name", components("objective"))
def test_a_run_is_given_in_a_cohort_what_it_is_given_alone(name: str) -> None:
    runs, steps = several(name), [0, 300, 7]
    together = inputs(runs, steps)
    for place, (run, step) in enumerate(zip(runs, steps, strict=True)):
        assert digests(together, place) == digests(inputs([run], [step]), 0)
    assert digests(together, 0) != digests(together, 2)


# What it makes of that differs by rounding alone.


@pytest.mark.parametrize("name", components("objective"))
def test_gradients_of_the_first_step_are_those_of_a_run_alone(name: str) -> None:
    # The velocity of the first step of gradient descent is the gradient.
    plain = {"optimizer": {"name": "sgd", "learning_rate": 1e-9}, "steps": 1}
    runs = [
        {**run, "training": {**run["training"], **plain, "gradient_clip": None}}
        for run in several(name)
    ]
    together = [gradients(kept) for kept in trained(runs)[1]]
    for run, found in zip(runs, together, strict=True):
        alone = gradients(trained([run])[1][0])
        assert np.linalg.norm(found - alone) < 1e-5 * np.linalg.norm(alone)


def gradients(kept: Kept) -> np.ndarray:
    checkpoint = Kept(start=kept.files[-1]).restore()
    assert checkpoint is not None
    velocities = [
        tensor.numpy().reshape(-1)
        for name, tensor in sorted(checkpoint.tensors.items())
        if "/velocity/" in name or "/first/" in name
    ]
    found: np.ndarray = np.concatenate(velocities)
    return found


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in ("beta_tcvae", "factor_vae") else pytest.mark.slow)
        for name in components("objective")
    ],
)
def test_a_trajectory_strays_no_further_than_by_one_unit_in_the_last_place(name: str) -> None:
    runs = several(name, steps=60)
    together = [curve(kept) for kept in trained(runs)[1][:2]]
    for run, found in zip(runs, together, strict=False):
        alone = curve(trained([run])[1][0])
        # Rounding errors grow as they like in training, so what is too far is measured: runs alone
        # of which one weight was moved by one unit in the last place at the start.
        moved = [
            np.abs(curve(trained([run], [Moved(run, nth)])[1][0]) - alone).max() for nth in range(3)
        ]
        unit = np.spacing(np.float32(np.abs(alone).max()))
        assert np.abs(found - alone).max() <= 4 * max(*moved, unit)


def curve(kept: Kept) -> np.ndarray:
    """The loss at every step."""
    return np.array([told.loss for told in kept.stages if told.stage == "training"])


class Moved(Kept):
    """Begins with one weight of the decoder moved by one unit in the last place."""

    def __init__(self, run: Mapping[str, Any], nth: int) -> None:
        super().__init__()
        self._run, self._nth = RunSpec.parse(run), nth

    def restore(self) -> Checkpoint:
        modules = build(self._run, DIGITS.image_shape)
        updates = checked_updates(self._run.objective)
        begun = TrainingState([self._run], modules, updates, CPU).to_checkpoint(0, self._run)
        tensors = {name: tensor.clone() for name, tensor in begun.tensors.items()}
        weights = tensors["model/parameters/decoder/0.weight"].view(-1)
        weights[self._nth] = torch.nextafter(weights[self._nth], torch.tensor(torch.inf))
        return Checkpoint(0, tensors, begun.document)


# At one width, its bits depend neither on its place nor on its neighbours.


@IN_EACH_PRECISION
@pytest.mark.parametrize("name", components("objective"))
def test_bits_do_not_depend_on_place_or_neighbours(name: str, precision: str) -> None:
    first, second, third = several(name, precision=precision)
    stranger = {**third, "seed": 9}
    together = ends([first, second, third], width=3)
    assert ends([third, first, second], width=3) == [together[2], together[0], together[1]]
    assert ends([stranger, second, stranger], width=3)[1] == together[1]
    # Nor on whether there are neighbours at all: other places hold copies that nobody asked for.
    assert ends([second], width=3) == [together[1]]


@IN_EACH_PRECISION
@pytest.mark.parametrize("model", components("model"))
def test_bits_of_every_architecture_do_not_depend_on_place_or_neighbours(
    model: str, precision: str
) -> None:
    def run(seed: int) -> dict[str, Any]:
        plain = spec(seed=seed, steps=2, batch_size=4, precision=precision)
        return {**plain, "dataset": "digits", "model": {"name": model, "latent_dim": 3}}

    together = ends([run(0), run(1)], data=WIDE)
    assert ends([run(1), run(5)], data=WIDE)[0] == together[1]


def test_bits_do_not_depend_on_place_with_two_threads() -> None:
    torch.set_num_threads(2)
    runs = several("beta_tcvae")
    assert ends(runs[::-1]) == ends(runs)[::-1]


def test_a_run_alone_is_a_cohort_of_one() -> None:
    kept = Kept()
    train(spec(), kept, data=DIGITS)
    assert ends([spec()]) == [end(kept)]


# A place whose run has left does not move, and the others go on.


def test_a_run_that_diverges_leaves_the_others_their_bits() -> None:
    hot = spec(seed=1, optimizer={"name": "adam", "learning_rate": 100.0}, steps=30)
    runs = [spec(steps=30), hot, spec(seed=2, steps=30)]
    outcomes, kept = trained(runs)
    assert isinstance(outcomes[1], NonFiniteLoss)
    assert 0 < outcomes[1].step < 30
    harmless = ends([runs[0], spec(seed=1, steps=30), runs[2]])
    assert [end(kept[0]), end(kept[2])] == [harmless[0], harmless[2]]


def test_a_run_that_diverges_by_its_last_update_is_told_and_no_other() -> None:
    calm, hot = ({"name": "sgd", "learning_rate": rate} for rate in (1e-6, 100.0))
    runs = [spec(seed=seed, optimizer=calm, steps=2) for seed in (0, 1, 2)]
    harmless = ends(runs)
    outcomes, kept = trained([runs[0], spec(seed=1, optimizer=hot, steps=2), runs[2]])
    assert isinstance(outcomes[1], NonFiniteLoss) and outcomes[1].step == 2
    assert not kept[1].files and all(isinstance(outcomes[k], Model) for k in (0, 2))
    assert [end(kept[0]), end(kept[2])] == [harmless[0], harmless[2]]


@pytest.mark.parametrize("name", components("objective"))
def test_a_run_that_is_stopped_keeps_its_checkpoint_and_leaves_the_others_their_bits(
    name: str,
) -> None:
    runs = several(name)
    undisturbed = ends(runs)
    stopping = [Kept(), Kept(pause_at=3), Kept()]
    outcomes, kept = trained(runs, stopping)
    assert isinstance(outcomes[1], Stopped)
    assert [end(kept[0]), end(kept[2])] == [undisturbed[0], undisturbed[2]]
    # It goes on from there by itself, at the width at which it was stopped.
    _, again = trained([runs[1]], [Kept(start=kept[1].files[-1])], width=3)
    assert end(again[0]) == undisturbed[1]


@pytest.mark.parametrize("name", components("objective"))
def test_a_cohort_taken_up_again_ends_with_the_same_bits(name: str) -> None:
    runs = several(name)
    undisturbed = ends(runs)
    # Each was stopped, or had its last checkpoint, at another step; and they change places.
    stopped = [trained(runs, [Kept(pause_at=at) for _ in runs])[1] for at in (2, 5, 7)]
    starts = [Kept(start=stopped[k][k].files[-1]) for k in range(3)]
    order = [1, 2, 0]
    outcomes, kept = trained([runs[k] for k in order], [starts[k] for k in order])
    assert all(isinstance(outcome, Model) for outcome in outcomes)
    assert [end(kept[order.index(k)]) for k in range(3)] == undisturbed


def test_a_run_that_ends_early_is_told_at_once() -> None:
    runs = [spec(), spec(seed=1)]
    ahead = trained(runs, [Kept(pause_at=6), Kept(pause_at=6)])[1][1]
    recorders = [Kept(), Kept(start=ahead.files[-1])]
    told = [
        (place, len(recorders[0].stages)) for place, _ in train_cohort(runs, recorders, data=DIGITS)
    ]
    assert told == [(1, 2), (0, 8)]


def test_what_a_recorder_raises_ends_its_run_alone() -> None:
    class Broken(Kept):
        def scalars(self, step: int, values: Mapping[str, float]) -> None:
            if step == 4:
                raise OSError("no space left")
            super().scalars(step, values)

    runs = several("vae")
    outcomes, kept = trained(runs, [Kept(), Broken(), Kept()])
    assert isinstance(outcomes[1], OSError)
    undisturbed = ends(runs)
    assert [end(kept[0]), end(kept[2])] == [undisturbed[0], undisturbed[2]]


def test_a_checkpoint_of_another_run_ends_that_run_alone() -> None:
    foreign = trained([spec(seed=8)])[1][0].files[-1]
    outcomes, _ = trained([spec(), spec(seed=1)], [Kept(), Kept(start=foreign)])
    assert isinstance(outcomes[0], Model)
    assert type(outcomes[1]).__name__ == "ForeignCheckpoint"


def test_a_checkpoint_that_lacks_a_tensor_ends_its_run_alone() -> None:
    whole = trained([spec(seed=1)])[1][0].files[-1]
    tensors, document = tensor_file.from_bytes(whole)
    name = next(name for name in tensors if name.startswith("model/"))
    del tensors[name]
    torn = tensor_file.to_bytes(tensors, document)
    outcomes, _ = trained([spec(), spec(seed=1)], [Kept(), Kept(start=torn)])
    assert isinstance(outcomes[0], Model)
    assert isinstance(outcomes[1], KeyError)


class Leaves(Kept):
    """Wants no more, or breaks, when it is told that data are prepared."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self._error = error

    def progress(self, progress: Progress) -> Wish:
        super().progress(progress)
        if progress.stage != "preparing":
            return Wish.CONTINUE
        if self._error is not None:
            raise self._error
        return Wish.CANCEL


def test_preparing_goes_on_while_one_run_wants_the_data() -> None:
    outcomes, _ = trained([spec(), spec(seed=1)], [Leaves(), Kept()], data=None)
    assert isinstance(outcomes[0], Stopped) and outcomes[0].wish is Wish.CANCEL
    assert isinstance(outcomes[1], Model)


def test_when_every_run_has_left_it_ends_with_how_each_did() -> None:
    outcomes, _ = trained([spec(), spec(seed=1)], [Leaves(), Leaves(OSError("gone"))], data=None)
    assert isinstance(outcomes[0], Stopped) and outcomes[0].wish is Wish.CANCEL
    assert isinstance(outcomes[1], OSError)
    with pytest.raises(Stopped) as raised:
        train(spec(), Leaves())
    assert raised.value.wish is Wish.CANCEL


# Sizes at which vector instructions leave a rest, where a CPU may round by the place.


def odd(seed: int) -> dict[str, Any]:
    run = spec("vae", seed=seed, batch_size=33)
    return {**run, "model": {"name": "mlp", "hidden": [50], "latent_dim": 3}}


def test_at_odd_sizes_bits_do_not_depend_on_neighbours() -> None:
    assert ends([odd(0), odd(1), odd(2)])[1] == ends([odd(7), odd(1), odd(9)])[1]


def test_at_odd_sizes_runs_taken_up_again_take_their_places() -> None:
    runs = [odd(seed) for seed in range(4)]
    undisturbed = ends(runs)
    stopped = trained(runs, [Kept(pause_at=at) for at in (2, 5, 3, 6)])[1]
    # In another order, and one of them without the others.
    order = [3, 0, 2]
    starts = [Kept(start=stopped[k].files[-1]) for k in order]
    _, kept = trained([runs[k] for k in order], starts, width=4)
    assert [end(one) for one in kept] == [undisturbed[k] for k in order]
    _, alone = trained([runs[1]], [Kept(start=stopped[1].files[-1])], width=4)
    assert end(alone[0]) == undisturbed[1]


def test_of_two_that_were_in_one_place_the_second_takes_another() -> None:
    runs = [spec(), spec(seed=1)]
    starts = [trained([run], [Kept(pause_at=3)], width=2)[1][0] for run in runs]
    models, _ = trained(runs, [Kept(start=kept.files[-1]) for kept in starts])
    places = []
    for model in models:
        assert isinstance(model, Model)
        places.append([stretch["place"] for stretch in model.record["history"]])
    assert places == [[0], [0, 1]]


# What a cohort is.


def test_the_record_says_how_wide_the_cohort_was() -> None:
    [model], _ = trained([spec()], width=3)
    assert isinstance(model, Model)
    assert model.record["width"] == 3
    assert [stretch["width"] for stretch in model.record["history"]] == [3]


OTHER_NUMBERS: list[dict[str, Any]] = [
    {"objective.beta": 7},
    {"seed": 5},
    {"training.optimizer.learning_rate": 0.5},
    {"training.optimizer.betas": [0.1, 0.2]},
    {"training.gradient_clip": 3},
    {"training.schedule": {"name": "cosine"}},
    {"training.coefficients": {"beta": {"name": "warm_up"}}},
    {"training.checkpoint_minutes": 9},
    {"evaluation": {"metrics": []}},
]
OTHER_STRUCTURE: list[dict[str, Any]] = [
    {"objective": "vae"},
    {"training.optimizer": "sgd"},
    {"training.steps": 9},
    {"training.batch_size": 4},
    {"training.precision": "bfloat16"},
    {"training.sampling": "epochs"},
    {"training.likelihood": "gaussian"},
    {"model.latent_dim": 5},
    {"dataset.size": 64},
    {"dataset.input_noise": 0.1},
    {"dataset.input_mask": 0.1},
]


def changed(changes: Mapping[str, Any]) -> RunSpec:
    document = RunSpec.parse(spec()).document()
    for path, value in changes.items():
        *parents, last = path.split(".")
        here = document
        for parent in parents:
            here = here[parent]
        here[last] = value
    return RunSpec.parse(document)


@pytest.mark.parametrize("changes", OTHER_NUMBERS, ids=lambda changes: next(iter(changes)))
def test_runs_that_differ_in_numbers_go_together(changes: dict[str, Any]) -> None:
    plain, other = RunSpec.parse(spec()), changed(changes)
    assert cohort_key(plain) == cohort_key(other)
    outcomes, _ = trained([plain, other])
    assert all(isinstance(outcome, Model) for outcome in outcomes)


@pytest.mark.parametrize("changes", OTHER_STRUCTURE, ids=lambda changes: next(iter(changes)))
def test_runs_that_differ_in_more_do_not(changes: dict[str, Any]) -> None:
    with pytest.raises(UnlikeRuns, match="differ in numbers only"):
        trained([RunSpec.parse(spec()), changed(changes)])


def test_gaussians_of_other_deviations_do_not_go_together() -> None:
    wide, narrow = (
        RunSpec.parse(spec(likelihood="gaussian", pixel_deviation=deviation))
        for deviation in (1.0, 0.1)
    )
    with pytest.raises(UnlikeRuns):
        trained([wide, narrow])


def test_more_runs_than_places_are_refused() -> None:
    with pytest.raises(UnlikeRuns, match="expected 1 to 1 runs for 1 places, got 2"):
        trained([spec(), spec(seed=1)], width=1)
