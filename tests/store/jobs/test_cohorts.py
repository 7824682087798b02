"""Which training jobs are taken together."""

from __future__ import annotations

import dataclasses

import pytest

from store.database.tables import Job
from store.errors import LeaseLost
from store.jobs.checkpoints import record_checkpoint, unbind_width
from store.jobs.claim import Claim, claim, claim_beside, count_beside
from store.jobs.finish import release
from tests.store.lab import TRAIN, Lab, new_run

HERE, ELSEWHERE = "this card", "another card"


def post(lab: Lab, *keys: str, priority: int = 0) -> list[str]:
    """Runs with these cohort keys; returns their ids."""
    runs = [new_run(f"{key} {lab.fresh()}", cohort_key=key) for key in keys]
    experiment = lab.post(runs=runs, priority=priority)
    return [link.run_id for link in lab.links(experiment)]


def take(lab: Lab, width: int, *, device: str = HERE) -> list[Claim]:
    """The job whose turn it is and up to `width - 1` that go with it, as a worker takes them."""
    claims = claim(lab.database, TRAIN, worker="w", lease_seconds=30, device_model=device)
    return claims + (beside(lab, claims[0], width - 1, device=device) if claims else [])


def beside(lab: Lab, held: Claim, width: int, *, device: str = HERE) -> list[Claim]:
    return claim_beside(
        lab.database, held, device_model=device, width=width, worker="w", lease_seconds=30
    )


def count(lab: Lab, held: Claim, *, device: str = HERE, most: int = 64) -> int:
    return count_beside(lab.database, held, device_model=device, most=most)


def runs_of(claims: list[Claim]) -> list[str | None]:
    return [claim.run_id for claim in claims]


def stopped(lab: Lab, held: Claim, *, width: int, device: str = HERE, step: int = 5) -> None:
    """Leave a checkpoint that was made at a width, and let go of the job."""
    record_checkpoint(
        lab.database,
        held,
        step=step,
        path=f"{held.run_id}/{held.fence}-{step}.safetensors",
        sha256="0" * 64,
        size=1,
        width=width,
        device_model=device,
    )
    release(lab.database, held)


def test_one_that_is_held_says_how_many_go_with_it(lab: Lab) -> None:
    post(lab, "a", "b", "a", "a")
    [held] = take(lab, 1)
    assert (held.cohort_key, held.cohort_width, held.losses) == ("a", None, 0)
    assert count(lab, held) == 2
    assert count(lab, held, most=1) == 1


def test_those_alike_are_taken_in_turn_and_the_others_wait(lab: Lab) -> None:
    runs = post(lab, "a", "b", "a", "a", "b")
    assert runs_of(take(lab, 2)) == [runs[0], runs[2]]
    assert runs_of(take(lab, 8)) == [runs[1], runs[4]]
    assert runs_of(take(lab, 8)) == [runs[3]]


def test_priority_decides_whose_cohort_is_next(lab: Lab) -> None:
    low = post(lab, "a", "a")
    urgent = post(lab, "b", "a", priority=5)
    # The urgent stranger first; then the urgent one of the others' kind leads them.
    assert runs_of(take(lab, 8)) == [urgent[0]]
    assert runs_of(take(lab, 8)) == [urgent[1], *low]


def test_what_others_took_meanwhile_is_not_taken_again(lab: Lab) -> None:
    post(lab, "a", "a", "a")
    [first], [second] = take(lab, 1), take(lab, 1)
    assert len(beside(lab, first, 8)) == 1
    assert beside(lab, second, 8) == []
    assert count(lab, second) == 0


def test_a_run_goes_on_at_the_width_of_its_checkpoint(lab: Lab) -> None:
    runs = post(lab, "a", "a", "a", "a")
    claims = take(lab, 4)
    stopped(lab, claims[0], width=4)
    stopped(lab, claims[1], width=4)
    stopped(lab, claims[2], width=2)
    # The fourth was stopped before it had a checkpoint: it is free.
    release(lab.database, claims[3])
    taken = take(lab, 4)
    assert runs_of(taken) == [runs[0], runs[1], runs[3]]
    assert [one.cohort_width for one in taken] == [4, 4, None]
    [last] = take(lab, 4)
    assert (last.run_id, last.cohort_width) == (runs[2], 2)


def test_new_runs_do_not_join_one_that_is_bound_behind_them(lab: Lab) -> None:
    first = post(lab, "a")
    [held] = take(lab, 1)
    urgent = post(lab, "a", "a", priority=1)
    stopped(lab, held, width=8)
    # At their own width the bound one would lose its bits, so it waits for its turn.
    assert runs_of(take(lab, 4)) == urgent
    [bound] = take(lab, 4)
    assert (bound.run_id, bound.cohort_width) == (first[0], 8)


def test_a_width_binds_on_the_device_where_the_checkpoint_was_made(lab: Lab) -> None:
    runs = post(lab, "a", "a")
    for held in take(lab, 2):
        stopped(lab, held, width=32, device=ELSEWHERE)
    [free] = take(lab, 1)
    assert (free.run_id, free.cohort_width) == (runs[0], None)
    release(lab.database, free)
    there = take(lab, 2, device=ELSEWHERE)
    assert [(one.run_id, one.cohort_width) for one in there] == [(run, 32) for run in runs]


def test_a_job_of_an_older_version_goes_alone(lab: Lab) -> None:
    runs = post(lab, "a", "a")
    with lab.database.write() as session:
        session.query(Job).update({"cohort_key": None})
    assert runs_of(take(lab, 8)) == runs[:1]
    assert runs_of(take(lab, 8)) == runs[1:]


def test_a_job_that_lost_two_workers_goes_alone(lab: Lab) -> None:
    runs = post(lab, "a", "a", "a")
    for losses, expected in ((1, runs), (2, runs[:1])):
        with lab.database.write() as session:
            session.query(Job).filter_by(run_id=runs[0]).update({"losses": losses})
        taken = take(lab, 8)
        assert runs_of(taken) == expected
        for one in taken:
            release(lab.database, one)
    # Nor does another take it along.
    with lab.database.write() as session:
        session.query(Job).filter_by(run_id=runs[0]).update({"priority": -1})
    assert runs_of(take(lab, 8)) == runs[1:]


def test_a_job_that_lost_two_workers_is_free_of_its_width_until_it_comes_further(lab: Lab) -> None:
    [run_id] = post(lab, "a")
    [held] = take(lab, 1)
    stopped(lab, held, width=8, step=7)
    with lab.database.write() as session:
        session.query(Job).filter_by(run_id=run_id).update({"losses": 2})
    for step, left in ((7, (2, None)), (8, (0, 4))):
        [held] = take(lab, 1)
        stopped(lab, held, width=4, step=step)
        [held] = take(lab, 1)
        assert (held.losses, held.cohort_width) == left
        release(lab.database, held)


def test_a_run_that_did_not_fit_is_free_of_its_width(lab: Lab) -> None:
    post(lab, "a")
    [held] = take(lab, 1)
    stopped(lab, held, width=8)
    [held] = take(lab, 1)
    assert held.cohort_width == 8
    unbind_width(lab.database, held)
    release(lab.database, held)
    [held] = take(lab, 1)
    assert held.cohort_width is None
    with pytest.raises(LeaseLost):
        unbind_width(lab.database, dataclasses.replace(held, fence=held.fence - 1))


def test_evaluations_are_no_part_of_a_cohort(lab: Lab) -> None:
    post(lab, "a")
    lab.train()
    assert take(lab, 8) == []
