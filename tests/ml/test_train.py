import math
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn

from ml import registry, train
from ml.dataset import dataset
from ml.draws import BLOCK
from ml.model import Model
from ml.objective import Batch, Coefficients, Draw, Draws, Loss, Needs, Networks, Objective, Update
from ml.objectives._evidence import evidence
from ml.optimizers.adam import Adam
from ml.recorder import Stopped
from ml.registry import components
from ml.spec import RunSpec
from ml.train import NonFiniteLoss
from ml.training_state import ForeignCheckpoint
from tests.ml.recorders import Kept

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


@pytest.mark.parametrize("name", components("objective"))
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_run_taken_up_again_ends_with_the_same_bits(name: str, precision: str) -> None:
    run = spec(name, precision=precision)
    undisturbed = paused(run, at=12)
    first = paused(run, at=5)
    second = paused(run, at=12, start=first.files[-1])
    # Weights, optimizer state and every point of the curves; a bit that differs in a gradient
    # can hide in the weights for long.
    assert second.files[-1] == undisturbed.files[-1]
    assert {**first.points, **second.points} == undisturbed.points


def test_the_bits_are_the_same_wherever_a_block_of_draws_ends() -> None:
    steps = BLOCK + 3
    small = spec(steps=steps, batch_size=2)
    undisturbed = paused(small, at=steps).files[-1]
    start = None
    for at in (BLOCK - 1, BLOCK, BLOCK + 1, steps):
        start = paused(small, at=at, start=start).files[-1]
    assert start == undisturbed


def test_another_seed_gives_another_model() -> None:
    assert not same_bits(train(spec(), data=DIGITS), train(spec(seed=1), data=DIGITS))


def test_checkpoints_are_kept_by_the_clock_and_change_no_bit() -> None:
    kept = Kept()
    model = train(spec(checkpoint_minutes=1e-9), kept, data=DIGITS)
    assert len(kept.files) == 12
    assert same_bits(model, train(spec(), data=DIGITS))


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
    assert again.stages == []


def test_two_updates_of_one_group_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    vae = registry.find("objective", "vae")
    updates = vae.model_validate({"name": "vae"}).updates()
    for wrong in (2 * updates, ()):
        monkeypatch.setattr(vae, "updates", lambda _, wrong=wrong: wrong)
        with pytest.raises(TypeError, match="one update for each group"):
            train(spec("vae"), data=DIGITS)


@pytest.fixture
def critic_objective() -> Iterator[None]:
    """An objective with a second group, an optimizer of its own, a second batch and a carry."""

    class Critic(Objective):
        """A VAE whose latents a critic scores, for the protocol's sake."""

        name: Literal["critic"] = "critic"

        def needs(self) -> Needs:
            return Needs(batches=2, draws={"noise": Draw("normal"), "order": Draw("permutations")})

        def extra_networks(self, latents: int) -> dict[str, nn.Module]:
            return {"critic": nn.Sequential(nn.Linear(latents, 8), nn.ReLU(), nn.Linear(8, 1))}

        def coefficients(self, *, pixels: int, latents: int) -> dict[str, float]:
            return {"gamma": 2.0}

        def updates(self) -> tuple[Update, ...]:
            return (
                Update(self.model_loss),
                Update(self.critic_loss, "critic", Adam(learning_rate=1e-2, betas=(0.5, 0.9))),
            )

        def model_loss(
            self,
            networks: Networks,
            batch: Batch,
            draws: Draws,
            coefficients: Coefficients,
            carry: Mapping[str, Tensor],
        ) -> Loss:
            terms = evidence(networks, self.posterior, batch.images[0], draws["noise"])
            score = networks.call("critic", terms.latents).mean()
            value = terms.reconstruction + coefficients["gamma"] * score
            return Loss(value, terms.terms(), {"latents": terms.latents})

        def critic_loss(
            self,
            networks: Networks,
            batch: Batch,
            draws: Draws,
            coefficients: Coefficients,
            carry: Mapping[str, Tensor],
        ) -> Loss:
            assert not carry["latents"].requires_grad
            shuffled = carry["latents"].gather(0, draws["order"])
            second = self.posterior.mean(networks.encode(batch.images[1]))
            score = (
                networks.call("critic", shuffled).mean() - networks.call("critic", second).mean()
            )
            return Loss(score.square(), {"critic_gap": score})

    registry.register(Critic)
    yield
    del registry._components["objective"]["critic"]


def test_a_second_group_has_an_optimizer_of_its_own_and_resumes(critic_objective: None) -> None:
    document = spec("vae")
    objective = registry.find("objective", "critic").model_validate({"name": "critic"})
    run = RunSpec.parse(document).model_copy(update={"objective": objective})
    undisturbed = paused(run, at=12)
    assert {"critic_loss", "critic_gap", "critic_gradient_norm"} <= set(undisturbed.points[12])
    first = paused(run, at=7)
    halfway, end = (Kept(start=kept.files[-1]).restore() for kept in (first, undisturbed))
    assert halfway is not None and end is not None
    for name in ("parameters/critic/0.weight", "moments/critic/first/critic/0.weight"):
        assert not torch.equal(halfway.tensors[name], end.tensors[name])
    assert paused(run, at=12, start=first.files[-1]).files[-1] == undisturbed.files[-1]
