import itertools
import math
from collections.abc import Iterator
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ml import evaluate, train
from ml.components import registry
from ml.components.registry import components
from ml.datasets.protocol import dataset
from ml.datasets.resident import ResidentImages
from ml.networks import tensor_file
from ml.networks.model import Model
from ml.recorder import Checkpoint, Progress, Stopped, Wish
from ml.training.loop import NonFiniteLoss
from ml.training.state import ForeignCheckpoint
from tests.ml.recorders import Kept

#: The name in `ml` is the function.
training = import_module("ml.training.loop")
DIGITS = dataset("digits")


def spec(objective: Any = "beta_vae", *, seed: int = 0, **training: Any) -> dict[str, Any]:
    optimizer = {"name": "adam", "learning_rate": 1e-3}
    return {
        "dataset": "digits",
        "model": {"name": "burgess", "latent_dim": 4},
        "objective": objective,
        "training": {"steps": 12, "batch_size": 8, "optimizer": optimizer, **training},
        "seed": seed,
    }


def same_bits(one: Model, other: Model) -> bool:
    return all(
        torch.equal(tensor, other.parameters[network][name])
        for network, named in one.parameters.items()
        for name, tensor in named.items()
    )


def paused(run: Any, *, at: int, start: bytes | None = None) -> Kept:
    """Train until a checkpoint at a step, and there stop."""
    kept = Kept(start=start, pause_at=at)
    with pytest.raises(Stopped):
        train(run, kept, data=DIGITS)
    return kept


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", components("objective"))
def test_every_objective_lowers_its_loss(name: str) -> None:
    kept = Kept()
    train(spec(name, steps=40), kept, data=DIGITS)
    losses = [point["loss"] for _, point in sorted(kept.points.items())]
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])


@pytest.mark.parametrize(
    ("name", "precision"),
    [
        pytest.param(name, precision, marks=() if quick else pytest.mark.slow)
        for name in components("objective")
        for precision in ("float32", "bfloat16")
        # Processors without bfloat16 take ten times as long.
        for quick in [precision == "float32" or name == "beta_tcvae"]
    ],
)
def test_a_run_taken_up_again_ends_with_the_same_bits(name: str, precision: str) -> None:
    run = spec(name, precision=precision)
    undisturbed = paused(run, at=12)
    first = paused(run, at=5)
    second = paused(run, at=12, start=first.files[-1])
    # Weights, optimizer state and every point of the curves; a bit that differs in a gradient
    # can hide in the weights for long.
    assert second.files[-1] == undisturbed.files[-1]
    assert {**first.points, **second.points} == undisturbed.points


def test_the_bits_are_the_same_wherever_a_block_of_draws_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    block = 8
    monkeypatch.setattr("ml.reproducibility.draws.BLOCK", block)
    steps = block + 3
    small = spec(steps=steps, batch_size=2)
    undisturbed = paused(small, at=steps).files[-1]
    start = None
    for at in (block - 1, block, block + 1, steps):
        start = paused(small, at=at, start=start).files[-1]
    assert start == undisturbed


def test_another_seed_gives_another_model() -> None:
    assert not same_bits(train(spec(), data=DIGITS), train(spec(seed=1), data=DIGITS))


def test_checkpoints_are_kept_by_the_clock_and_change_no_bit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(training, "CHECKPOINTS_REST", 0.0)
    kept = Kept()
    model = train(spec(checkpoint_minutes=1e-9), kept, data=DIGITS)
    assert len(kept.files) == 12
    assert same_bits(model, train(spec(), data=DIGITS))


@pytest.mark.parametrize(("takes", "at"), [(2, [3, 10, 17, 20]), (100, [3, 14, 20])])
def test_slow_checkpoints_leave_most_of_the_time_to_training_but_not_all(
    takes: int, at: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    steps: list[int] = []
    ticks = itertools.count()

    class Slow(Kept):
        def progress(self, progress: Progress) -> Wish:
            nonlocal now
            now += progress.stage == "training"
            return super().progress(progress)

        def checkpoint(self, checkpoint: Checkpoint) -> None:
            nonlocal now
            now += takes
            steps.append(checkpoint.step)

    clock = SimpleNamespace(monotonic=lambda: now + 1e-9 * next(ticks))
    monkeypatch.setattr(training, "time", clock)
    # A step takes a second, and two seconds are between checkpoints that take no time.
    train(spec(steps=20, checkpoint_minutes=2 / 60), Slow(), data=DIGITS)
    assert steps == at


def test_progress_tells_stage_rate_and_time_left() -> None:
    kept = Kept()
    train(spec(), kept)
    stages = [progress.stage for progress in kept.stages]
    assert stages[-12:] == ["training"] * 12
    last = kept.stages[-1]
    assert (last.step, last.steps) == (12, 12)
    assert last.images_per_second and last.images_per_second > 0 and last.eta_seconds == 0


def test_curves_hold_every_term_and_the_kl_of_each_latent() -> None:
    kept = Kept()
    train(spec(steps=3), kept, data=DIGITS)
    point = kept.points[3]
    assert point["loss"] == pytest.approx(point["reconstruction"] + 4 * point["kl"], rel=1e-5)
    assert sum(point[f"kl_per_latent/{k}"] for k in range(4)) == pytest.approx(point["kl"])
    assert point["gradient_norm"] > 0


def test_a_loss_that_is_not_finite_stops_the_run_before_the_optimizer_moves() -> None:
    hot = spec()
    hot["training"]["optimizer"]["learning_rate"] = 100.0
    kept = Kept()
    hot["training"]["checkpoint_minutes"] = 1e-9
    with pytest.raises(NonFiniteLoss) as raised:
        train(hot, kept, data=DIGITS)
    assert not math.isfinite(raised.value.terms["loss"] + raised.value.terms["gradient_norm"])
    assert f"step {raised.value.step}" in str(raised.value)
    assert "learning_rate" in raised.value.advice
    # The last checkpoint is that of the step before, and everything in it is finite.
    last = Kept(start=kept.files[-1]).restore()
    assert last is not None and last.step == raised.value.step
    assert all(tensor.isfinite().all() for tensor in last.tensors.values())


@pytest.mark.parametrize(
    ("optimizer", "steps"), [("adam", 1), ("adam", 2), ("rmsprop", 1), ("sgd", 3)]
)
def test_what_the_last_update_makes_of_the_weights_is_looked_at(optimizer: str, steps: int) -> None:
    rate = 1.0 if optimizer == "sgd" else 100.0
    hot = spec(steps=steps, snapshots=1, optimizer={"name": optimizer, "learning_rate": rate})
    kept = Kept()
    with pytest.raises(NonFiniteLoss) as raised:
        train(hot, kept, data=DIGITS)
    assert not math.isfinite(raised.value.terms["loss"]) or steps > 1
    # Neither a checkpoint nor a snapshot is left that passes for a trained model.
    assert steps not in kept.snapshots
    assert all(Kept(start=file).restore().step < steps for file in kept.files)


def test_the_last_update_of_a_second_network_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    factor_vae = registry.find("objective", "factor_vae")
    train(spec("factor_vae", steps=1), data=DIGITS)
    [(group, adam)] = factor_vae().optimizers().items()  # type: ignore[attr-defined]
    hot = {group: adam.model_copy(update={"learning_rate": 1e30})}
    monkeypatch.setattr(factor_vae, "optimizers", lambda _: hot)
    with pytest.raises(NonFiniteLoss) as raised:
        train(spec("factor_vae", steps=1), data=DIGITS)
    assert raised.value.step == 1
    assert not math.isfinite(raised.value.terms["loss"])


@pytest.mark.parametrize("kind", ["parameters", "second"])
@pytest.mark.parametrize("at", [3, 12])
def test_a_checkpoint_that_is_not_finite_is_not_gone_on_from(kind: str, at: int) -> None:
    kept = Kept()
    train(spec(steps=at, checkpoint_minutes=1e-9), kept, data=DIGITS)
    tensors, document = tensor_file.from_bytes(kept.files[-1])
    name = next(name for name in tensors if f"/{kind}/" in name)
    tensors[name] = torch.full_like(tensors[name], math.inf)
    with pytest.raises(NonFiniteLoss, match=f"not finite at step {at}: model {kind}"):
        train(spec(), Kept(start=tensor_file.to_bytes(tensors, document)), data=DIGITS)


def test_a_gradient_that_is_not_finite_stops_the_run_though_its_loss_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vae = registry.find("objective", "vae")
    loss = vae.loss  # type: ignore[attr-defined]

    def steep(self: Any, networks: Any, given: Any) -> Any:
        found = loss(self, networks, given)
        # The root of zero has no slope.
        return found._replace(value=found.value + (0 * found.value).sqrt())

    monkeypatch.setattr(vae, "loss", steep)
    with pytest.raises(NonFiniteLoss) as raised:
        train(spec("vae"), data=DIGITS)
    assert math.isfinite(raised.value.terms["loss"])
    assert not math.isfinite(raised.value.terms["gradient_norm"])


def test_what_diverged_first_is_what_is_told() -> None:
    # The discriminator's loss is not finite either once the model's is not.
    hot = spec("factor_vae", optimizer={"name": "adam", "learning_rate": 100.0}, steps=60)
    with pytest.raises(NonFiniteLoss) as raised:
        train(hot, data=DIGITS)
    assert not math.isfinite(raised.value.terms["loss"] + raised.value.terms["gradient_norm"])


def test_a_network_called_on_what_no_run_owns_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    vae = registry.find("objective", "vae")
    monkeypatch.setattr(vae, "loss", lambda _, networks, __: networks.decode(torch.zeros(2, 4)))
    with pytest.raises(TypeError, match="the same for all runs"):
        train(spec("vae"), data=DIGITS)


@pytest.mark.parametrize("permute", ["same_batch", "second_batch"])
def test_the_discriminator_sees_the_model_as_its_step_left_it(permute: str) -> None:
    def first_moment(rate: float) -> Tensor:
        objective = {"name": "factor_vae", "permute": permute}
        slow = {"name": "sgd", "learning_rate": rate}
        kept = paused(spec(objective, optimizer=slow), at=1)
        checkpoint = Kept(start=kept.files[-1]).restore()
        assert checkpoint is not None
        return checkpoint.tensors["discriminator/first/discriminator/0.weight"]

    # A second batch is encoded after the model's step; the first was before it.
    same = torch.equal(first_moment(1e-3), first_moment(1e-9))
    assert same is (permute == "same_batch")


def test_clipping_bounds_what_the_optimizer_sees() -> None:
    free = train(spec(steps=1), data=DIGITS)
    # Adam's first step is the sign of the gradient at any scale far above eps, so a clip far
    # below eps is what shows.
    clipped = train(spec(steps=1, gradient_clip=1e-12), data=DIGITS)
    start = train(spec(steps=1, gradient_clip=1e-30), data=DIGITS)
    moved = (
        free.parameters["decoder"]["0.weight"] - start.parameters["decoder"]["0.weight"]
    ).norm()
    barely = (
        clipped.parameters["decoder"]["0.weight"] - start.parameters["decoder"]["0.weight"]
    ).norm()
    assert barely < 1e-3 * moved


def test_a_checkpoint_of_another_run_is_refused() -> None:
    kept = paused(spec(), at=2)
    with pytest.raises(ForeignCheckpoint):
        train(spec(seed=5), Kept(start=kept.files[-1]), data=DIGITS)


def test_a_checkpoint_of_other_numbers_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    # As after an update of the software, of which the run's identity is part.
    monkeypatch.setattr("ml.training.state.FORMAT", 1)
    old = paused(spec(), at=2)
    monkeypatch.undo()
    again = paused(spec(), at=12, start=old.files[-1])
    assert again.files[-1] == paused(spec(), at=12).files[-1]
    assert min(again.points) == 1


def test_the_record_says_where_each_stretch_was_trained() -> None:
    kept = paused(spec(), at=4)
    torch.set_num_threads(2)
    model = train(spec(), Kept(start=kept.files[-1]), data=DIGITS)
    history = [(stretch["from_step"], stretch["threads"]) for stretch in model.record["history"]]
    assert history == [(0, 1), (4, 2)]


def test_the_end_is_a_checkpoint_so_that_later_stages_repeat_nothing() -> None:
    kept = Kept()
    model = train(spec(), kept, data=DIGITS)
    again = Kept(start=kept.files[-1])
    assert same_bits(model, train(spec(), again, data=DIGITS))
    assert {told.stage for told in again.stages} == {"preparing"}


def test_two_updates_of_one_group_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    vae = registry.find("objective", "vae")
    updates = vae.model_validate({"name": "vae"}).updates()
    for wrong in (2 * updates, ()):
        monkeypatch.setattr(vae, "updates", lambda _, wrong=wrong: wrong)
        with pytest.raises(TypeError, match="one update for each group"):
            train(spec("vae"), data=DIGITS)


def test_a_second_group_has_an_optimizer_and_batches_of_its_own_and_resumes() -> None:
    run = spec({"name": "factor_vae", "permute": "second_batch"})
    undisturbed = paused(run, at=12)
    assert {"discriminator_loss", "discriminator_accuracy", "discriminator_gradient_norm"} <= set(
        undisturbed.points[12]
    )
    first = paused(run, at=7)
    halfway, end = (Kept(start=kept.files[-1]).restore() for kept in (first, undisturbed))
    assert halfway is not None and end is not None
    for rows in ("parameters", "first"):
        name = f"discriminator/{rows}/discriminator/0.weight"
        assert not torch.equal(halfway.tensors[name], end.tensors[name])
    assert paused(run, at=12, start=first.files[-1]).files[-1] == undisturbed.files[-1]


def test_a_coefficient_follows_its_schedule() -> None:
    kept = Kept()
    warm_up = {"beta": {"name": "warm_up", "over": 4}}
    train(spec({"name": "beta_vae", "beta": 8}, coefficients=warm_up), kept, data=DIGITS)
    for step, factor in ((1, 0.0), (2, 0.25), (3, 0.5), (5, 1.0), (12, 1.0)):
        point = kept.points[step]
        expected = point["reconstruction"] + 8 * factor * point["kl"]
        assert point["loss"] == pytest.approx(expected, rel=1e-5)


def test_the_learning_rate_follows_its_schedule() -> None:
    # A rate of zero from the start: nothing moves.
    still = train(spec(schedule={"name": "steps", "at": [1], "by": 0.0}, steps=3), data=DIGITS)
    one = train(spec(schedule={"name": "constant"}, steps=1), data=DIGITS)
    assert same_bits(still, one)


def test_the_deviation_of_pixels_weighs_their_squared_errors() -> None:
    squared = []
    for deviation in (1.0, 0.1):
        kept = Kept()
        run = spec("vae", likelihood="gaussian", pixel_deviation=deviation, steps=1)
        train(run, kept, data=DIGITS)
        constant = 64 * 64 * math.log(deviation * math.sqrt(2 * math.pi))
        squared.append((kept.points[1]["reconstruction"] - constant) * deviation**2)
    # Before the first step the weights are the same, and so are the errors.
    assert squared[0] == pytest.approx(squared[1], rel=1e-3)


@pytest.mark.parametrize("deviation", [None, 0.1])
def test_a_gaussian_likelihood_trains_and_is_what_evaluation_reports(
    deviation: float | None,
) -> None:
    kept = Kept()
    run = spec("vae", likelihood="gaussian", pixel_deviation=deviation, steps=40)
    model = train(run, kept, data=DIGITS)
    constant = 64 * 64 * math.log((deviation or 1.0) * math.sqrt(2 * math.pi))
    costs = [point["reconstruction"] for _, point in sorted(kept.points.items())]
    last = sum(costs[-10:]) / 10
    assert constant < last < costs[0]
    [score] = [
        score for score in evaluate(model, DIGITS, ["elbo"]) if score.name == "reconstruction"
    ]
    assert score.value == pytest.approx(last, rel=0.15)


def test_epochs_use_every_image_as_often_as_any_other() -> None:
    seen: list[int] = []

    class Watched(ResidentImages):
        def gather(self, index: np.ndarray) -> Tensor:
            seen.extend(index.tolist())
            return super().gather(index)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ml.training.feed.ResidentImages", Watched)
        run = spec("vae", sampling="epochs", steps=3, batch_size=len(DIGITS))
        train({**run, "model": {"name": "mlp", "hidden": [8], "latent_dim": 2}}, data=DIGITS)
    assert np.bincount(seen).tolist() == [3] * len(DIGITS)


@pytest.mark.parametrize("name", components("objective"))
def test_a_trained_model_is_what_comes_back_from_its_file(name: str) -> None:
    model = train(spec(name, steps=2), data=DIGITS)
    again = Model.from_bytes(model.to_bytes())
    assert same_bits(model, again) and again.spec == model.spec
    images = torch.rand(3, 1, 64, 64)
    codes = model.encode(images).mean
    np.testing.assert_array_equal(again.encode(images).mean, codes)
    np.testing.assert_array_equal(again.decode(codes), model.decode(codes))
