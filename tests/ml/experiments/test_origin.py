"""Runs that go on from where another ended: further on its course, or with other numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from ml import train
from ml.components.dotted_paths import value_at
from ml.components.spec_errors import InvalidSpec
from ml.datasets.protocol import dataset
from ml.experiments.experiment import parse_experiment
from ml.networks.model import Model
from ml.spec.identity import course_id, train_id
from ml.spec.run_spec import MAX_ORIGINS, RunSpec
from ml.training.state import ForeignCheckpoint, OriginNotKept
from tests.ml.recorders import Kept

DIGITS = dataset("digits")
BASE: dict[str, Any] = {
    "dataset": "digits",
    "model": {"name": "burgess", "latent_dim": 4},
    "objective": {"name": "beta_vae", "beta": 4},
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def spec(steps: int, *, origin: Any = None, beta: float = 4, **training: Any) -> dict[str, Any]:
    given = {"origin": origin} if origin else {}
    return {
        **BASE,
        **given,
        "objective": {"name": "beta_vae", "beta": beta},
        "training": {"steps": steps, "batch_size": 8, **training},
    }


def trained(run: Any, start: bytes | None = None) -> tuple[Model, bytes]:
    """A model, and the checkpoint that its training ended with."""
    kept = Kept(start=start)
    model = train(run, kept, data=DIGITS)
    return model, kept.files[-1]


def same_bits(one: Model, other: Model) -> bool:
    return all(
        torch.equal(tensor, other.parameters[network][name])
        for network, named in one.parameters.items()
        for name, tensor in named.items()
    )


def test_a_longer_run_goes_on_from_a_shorter_one_with_the_bits_of_one_from_the_start() -> None:
    warm_up = {"coefficients": {"beta": {"name": "warm_up", "over": 8}}}
    _, end = trained(spec(6, **warm_up))
    further, _ = trained(spec(10, **warm_up), end)
    whole, _ = trained(spec(10, **warm_up))
    assert same_bits(further, whole)
    assert train_id(further.spec) == train_id(whole.spec)
    assert [stretch["from_step"] for stretch in further.record["history"]] == [0]
    # A shorter one does not begin as a longer one ends.
    with pytest.raises(ForeignCheckpoint):
        trained(spec(5, **warm_up), end)


@pytest.mark.parametrize(
    "stretched", [{"schedule": "cosine"}, {"coefficients": {"beta": {"name": "cyclical"}}}]
)
def test_what_is_stretched_over_all_steps_cannot_be_made_longer(stretched: Any) -> None:
    _, end = trained(spec(6, **stretched))
    assert course_id(RunSpec.parse(spec(6, **stretched))) is None
    with pytest.raises(ForeignCheckpoint):
        trained(spec(10, **stretched), end)


def test_a_course_is_the_same_for_any_number_of_steps_and_for_nothing_else() -> None:
    one = course_id(RunSpec.parse(spec(6)))
    assert one == course_id(RunSpec.parse(spec(10)))
    others = (
        spec(6, beta=5),
        spec(6, gradient_clip=1.0),
        {**spec(6), "seed": 1},
        spec(6, origin={"training.steps": 3}),
    )
    assert len({one, *(course_id(RunSpec.parse(other)) for other in others)}) == 5


def test_a_fork_is_what_a_schedule_that_changes_there_makes() -> None:
    _, end = trained(spec(6, beta=8))
    forked, _ = trained(spec(10, beta=4, origin={"objective.beta": 8, "training.steps": 6}), end)
    halved = {"coefficients": {"beta": {"name": "steps", "at": [6], "by": 0.5}}}
    whole, _ = trained(spec(10, beta=8, **halved))
    assert same_bits(forked, whole)
    assert train_id(forked.spec) != train_id(whole.spec)
    unchanged, _ = trained(spec(10, beta=8))
    assert not same_bits(forked, unchanged)


def test_a_fork_without_its_origin_is_refused_and_not_begun_anew() -> None:
    fork = spec(10, beta=8, origin={"objective.beta": 4, "training.steps": 6})
    with pytest.raises(OriginNotKept, match=r"objective\.beta"):
        trained(fork)
    # Of another run, and of the right one before its end.
    _, other = trained(spec(6, beta=5))
    with pytest.raises(ForeignCheckpoint):
        trained(fork, other)
    kept = Kept(pause_at=3)
    with pytest.raises(Exception, match="pause"):
        train(spec(6), kept, data=DIGITS)
    with pytest.raises(ForeignCheckpoint):
        trained(fork, kept.files[-1])


def test_a_fork_goes_on_from_its_own_checkpoint() -> None:
    _, end = trained(spec(6))
    fork = spec(10, beta=8, origin={"objective.beta": 4, "training.steps": 6})
    whole, _ = trained(fork, end)
    kept = Kept(start=end, pause_at=8)
    with pytest.raises(Exception, match="pause"):
        train(fork, kept, data=DIGITS)
    resumed, _ = trained(fork, kept.files[-1])
    assert same_bits(whole, resumed)


def test_a_spec_shows_its_origin_only_if_it_has_one() -> None:
    assert "origin" not in RunSpec.parse(spec(6)).document()
    assert "origin" not in RunSpec.parse({**spec(6), "origin": None}).document()
    told = {"objective.beta": 4, "training.steps": 6}
    fork = RunSpec.parse(spec(10, beta=8, origin=told))
    assert fork.document()["origin"] == told
    before = fork.origin_spec()
    assert before is not None
    assert before.document() == RunSpec.parse(spec(6)).document()
    again = RunSpec.parse(
        {
            **fork.document(),
            "training": {"steps": 20},
            "origin": {"training": fork.document()["training"], "origin": told},
        }
    )
    assert again.origin_spec() == fork
    assert value_at(again.document(), "origin.origin") == told


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        ({"objective.beta": 4}, r"training\.steps: expected more than 10, .* got 10"),
        ({"training.steps": 12}, "expected more than 12"),
        ({"objective.bta": 4, "training.steps": 6}, r"origin\.objective\.bta.*'beta'"),
        ({"model.latent_dim": 3, "training.steps": 6}, "decoder.*as training goes on"),
        ({"objective": "factor_vae", "training.steps": 6}, "no discriminator.*as training goes on"),
        ({"training.optimizer": "sgd", "training.steps": 6}, "as training goes on"),
        ({}, "origin"),
        ({"seed.of": 1, "training.steps": 6}, "seed"),
    ],
)
def test_an_origin_that_does_not_lead_here_is_refused(origin: Any, said: str) -> None:
    with pytest.raises(InvalidSpec, match=said):
        parse_experiment({**spec(10), "origin": origin})


def test_origins_end_somewhere() -> None:
    document = spec(1)
    for steps in range(2, MAX_ORIGINS + 3):
        before = {"training.steps": steps - 1, "origin": document.get("origin")}
        document = {**spec(steps), "origin": before}
    with pytest.raises(InvalidSpec, match=f"at most {MAX_ORIGINS}"):
        RunSpec.parse(document)


def test_a_sweep_may_go_on_from_the_ends_of_another() -> None:
    swept = parse_experiment(
        {
            **spec(10, beta=8),
            "origin": {"objective.beta": 4, "training.steps": 6},
            "sweep": {"seed": [0, 1], "objective.beta": [8, 16]},
        }
    )
    origins = {run.spec.seed: run.spec.origin_spec() for run in swept.runs}
    assert origins == {seed: RunSpec.parse({**spec(6), "seed": seed}) for seed in (0, 1)}
