"""Workers train runs that go on from where others have ended."""

from __future__ import annotations

from typing import Any

import pytest

from ml.spec.run_spec import RunSpec
from ml.training.loop import train, train_cohort
from store.jobs.checkpoints import checkpoints
from store.states import RunState
from tests.ml.recorders import Kept
from tests.worker.workplace import (
    PATIENCE,
    STEPS,
    Workplace,
    flip_a_bit,
    left_by,
    meanwhile,
    on_sqlite,
    spec,
    until,
)
from worker.evaluation import evaluate_next
from worker.process import draining
from worker.training import train_next

LONGER = 2 * STEPS


def fork() -> dict[str, Any]:
    """The spec of a run that goes on with a higher beta."""
    origin = {"objective": "beta_vae", "training.steps": STEPS}
    return {
        **spec(steps=LONGER),
        "objective": {"name": "beta_vae", "beta": 32},
        "origin": origin,
    }


def kept_state(workplace: Workplace, run_id: str) -> bytes:
    [end] = checkpoints(workplace.stores.database, run_id)
    content = workplace.stores.checkpoints.read_whole(end)
    assert content is not None
    return content


@on_sqlite
def test_an_extended_run_ends_as_one_that_was_so_long_from_the_beginning(
    workplace: Workplace, no_pictures: None
) -> None:
    first = workplace.post()
    assert train_next()
    longer = workplace.post(spec(steps=LONGER))
    assert workplace.checkpoint_steps(longer) == [STEPS]
    assert train_next()
    kept = Kept()
    model = train(RunSpec.parse(spec(steps=LONGER)), kept)
    assert workplace.trained(longer).same(left_by(model, kept))
    assert [step for step, _ in workplace.curves(longer)["loss"]] == list(range(1, LONGER + 1))
    assert workplace.run(longer).origin == {"run": first, "step": STEPS}
    assert workplace.only_ends_are_kept(first, longer)
    while evaluate_next():
        pass
    assert workplace.run(longer).state is RunState.SUCCEEDED


@on_sqlite
def test_a_fork_goes_on_with_the_weights_and_the_optimizer_of_its_origin(
    workplace: Workplace,
) -> None:
    run_id = workplace.post()
    assert train_next()
    state = kept_state(workplace, run_id)
    forked = workplace.post(fork())
    assert train_next()
    kept = Kept(start=state)
    model = train(RunSpec.parse(fork()), kept)
    left = workplace.trained(forked)
    assert all(
        tensor.equal(model.parameters[network][name])
        for place, tensor in left.weights.items()
        for network, _, name in [place.partition("/")]
    )
    assert min(kept.points) == STEPS + 1
    # The curves are those of its origin, then its own.
    before, loss = workplace.curves(run_id)["loss"], workplace.curves(forked)["loss"]
    assert loss[:STEPS] == before
    assert loss[STEPS:] == [
        (step, kept.points[step]["loss"]) for step in range(STEPS + 1, LONGER + 1)
    ]


@pytest.mark.slow
@on_sqlite
def test_a_sweep_is_extended_side_by_side(workplace: Workplace) -> None:
    workplace.configure(cohort_width=2)
    sweep = {"objective.beta": [1, 4]}
    runs = workplace.post_sweep({**spec(), "sweep": sweep})
    assert train_next()
    longer = workplace.post_sweep({**spec(steps=LONGER), "sweep": sweep})
    assert train_next()
    assert not train_next()
    for before, after in zip(runs, longer, strict=True):
        run = workplace.run(after)
        assert run.origin == {"run": before, "step": STEPS}
        kept = Kept()
        [(_, model)] = train_cohort([RunSpec.parse(run.spec)], [kept], width=2)
        assert not isinstance(model, Exception)
        assert workplace.trained(after).same(left_by(model, kept))


@on_sqlite
def test_one_of_a_sweep_that_is_extended_keeps_to_the_width_of_its_cohort(
    workplace: Workplace,
) -> None:
    workplace.configure(cohort_width=2)
    workplace.post_sweep({**spec(), "sweep": {"objective.beta": [1, 4]}})
    assert train_next()
    longer = workplace.post({**spec(steps=LONGER), "objective": {"name": "beta_vae", "beta": 1}})
    workplace.configure(cohort_width=1)
    assert train_next()
    kept = Kept()
    run = workplace.run(longer)
    [(_, model)] = train_cohort([RunSpec.parse(run.spec)], [kept], width=2)
    assert not isinstance(model, Exception)
    assert workplace.trained(longer).same(left_by(model, kept))


@on_sqlite
def test_a_fork_whose_state_was_damaged_goes_on_when_its_origin_is_trained_again(
    workplace: Workplace, no_pictures: None
) -> None:
    workplace.post()
    assert train_next()
    forked = workplace.post(fork())
    [path] = workplace.files()
    flip_a_bit(path)
    assert train_next()
    assert workplace.run(forked).state is RunState.FAILED
    again = workplace.post(force=True)
    assert train_next()
    assert workplace.post(fork()) == forked
    assert workplace.run(forked).origin == {"run": again, "step": STEPS}
    assert train_next()
    assert workplace.run(forked).state is RunState.EVALUATING
    assert [step for step, _ in workplace.curves(forked)["loss"]] == list(range(1, LONGER + 1))


@pytest.mark.slow
@on_sqlite
def test_an_extended_run_that_is_interrupted_goes_on_from_its_own_checkpoint(
    workplace: Workplace, slow_steps: None
) -> None:
    workplace.post()
    assert train_next()
    longer = workplace.post(spec(steps=LONGER))
    with meanwhile(train_next) as work:
        until(lambda: workplace.checkpoint_steps(longer)[0] > STEPS)
        draining.begin()
        assert work.result(timeout=PATIENCE)
    draining._flag[0] = 0
    assert workplace.run(longer).state is RunState.QUEUED
    assert train_next()
    kept = Kept()
    model = train(RunSpec.parse(spec(steps=LONGER)), kept)
    assert workplace.trained(longer).same(left_by(model, kept))


@on_sqlite
def test_without_a_whole_state_an_extension_begins_anew_and_a_fork_fails(
    workplace: Workplace, no_pictures: None
) -> None:
    run_id = workplace.post()
    assert train_next()
    longer, forked = workplace.post(spec(steps=LONGER)), workplace.post(fork())
    [path] = workplace.files()
    flip_a_bit(path)
    assert train_next() and train_next()
    kept = Kept()
    model = train(RunSpec.parse(spec(steps=LONGER)), kept)
    assert workplace.trained(longer).same(left_by(model, kept))
    error = workplace.run(forked).error
    assert error is not None
    assert error["type"] == "OriginNotKept" and "force=true" in error["advice"]
    assert workplace.run(run_id).state is RunState.EVALUATING


@on_sqlite
def test_states_are_not_kept_where_that_is_switched_off(workplace: Workplace) -> None:
    workplace.configure(keep_states=False)
    workplace.post()
    assert train_next()
    assert workplace.files() == []
    longer = workplace.post(spec(steps=LONGER))
    assert workplace.run(longer).origin is None
