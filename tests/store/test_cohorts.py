"""Which training jobs are taken together."""

from __future__ import annotations

from store.checkpoints import record_checkpoint
from store.claim import Claim, Cohort, claim_cohort, next_cohort
from store.finish import release
from store.tables import Job
from tests.store.lab import TRAIN, Lab, new_run

HERE, ELSEWHERE = "this card", "another card"


def post(lab: Lab, *keys: str, priority: int = 0) -> list[str]:
    """Runs with these cohort keys; returns their ids."""
    runs = [new_run(f"{key} {lab.fresh()}", cohort_key=key) for key in keys]
    experiment = lab.post(runs=runs, priority=priority)
    return [link.run_id for link in lab.links(experiment)]


def ahead(lab: Lab, *, device: str = HERE, most: int = 64) -> Cohort | None:
    return next_cohort(lab.database, device=device, most=most)


def take(lab: Lab, width: int, *, device: str = HERE) -> list[Claim]:
    cohort = ahead(lab, device=device)
    assert cohort is not None
    return claim_cohort(
        lab.database, cohort, device=device, width=width, worker="w", lease_seconds=30
    )


def runs_of(claims: list[Claim]) -> list[str | None]:
    return [claim.run_id for claim in claims]


def stopped(lab: Lab, claim: Claim, *, width: int, device: str = HERE) -> None:
    """Leave a checkpoint that was made at a width, and let go of the job."""
    record_checkpoint(
        lab.database,
        claim,
        step=5,
        path=f"{claim.run_id}/{claim.fence}-5.safetensors",
        sha256="0" * 64,
        size=1,
        width=width,
        device=device,
    )
    release(lab.database, claim)


def test_nothing_waiting_is_no_cohort(lab: Lab) -> None:
    assert ahead(lab) is None


def test_the_first_in_turn_says_what_goes_with_it(lab: Lab) -> None:
    runs = post(lab, "a", "b", "a", "a")
    assert ahead(lab) == Cohort(runs[0], "a", None, 3)
    assert ahead(lab, most=2) == Cohort(runs[0], "a", None, 2)


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


def test_a_cohort_that_others_took_meanwhile_is_empty(lab: Lab) -> None:
    post(lab, "a", "a")
    cohort = ahead(lab)
    assert cohort is not None
    take(lab, 2)
    late = claim_cohort(lab.database, cohort, device=HERE, width=2, worker="late", lease_seconds=30)
    assert late == []


def test_a_run_goes_on_at_the_width_of_its_checkpoint(lab: Lab) -> None:
    runs = post(lab, "a", "a", "a", "a")
    claims = take(lab, 4)
    stopped(lab, claims[0], width=4)
    stopped(lab, claims[1], width=4)
    stopped(lab, claims[2], width=2)
    # The fourth was stopped before it had a checkpoint: it is free.
    release(lab.database, claims[3])
    assert ahead(lab) == Cohort(runs[0], "a", 4, 3)
    assert runs_of(take(lab, 4)) == [runs[0], runs[1], runs[3]]
    assert ahead(lab) == Cohort(runs[2], "a", 2, 1)


def test_new_runs_do_not_join_one_that_is_bound_behind_them(lab: Lab) -> None:
    first = post(lab, "a")
    [claim] = take(lab, 1)
    urgent = post(lab, "a", "a", priority=1)
    stopped(lab, claim, width=8)
    # At their own width the bound one would lose its bits, so it waits for its turn.
    assert ahead(lab) == Cohort(urgent[0], "a", None, 2)
    assert runs_of(take(lab, 4)) == urgent
    assert ahead(lab) == Cohort(first[0], "a", 8, 1)


def test_a_width_binds_on_the_device_where_the_checkpoint_was_made(lab: Lab) -> None:
    runs = post(lab, "a", "a")
    for claim in take(lab, 2):
        stopped(lab, claim, width=32, device=ELSEWHERE)
    assert ahead(lab) == Cohort(runs[0], "a", None, 2)
    assert ahead(lab, device=ELSEWHERE) == Cohort(runs[0], "a", 32, 2)
    assert runs_of(take(lab, 1)) == runs[:1]


def test_a_job_of_an_older_version_goes_alone(lab: Lab) -> None:
    runs = post(lab, "a", "a")
    with lab.database.write() as session:
        session.query(Job).update({"cohort_key": None})
    assert ahead(lab) == Cohort(runs[0], None, None, 1)
    assert runs_of(take(lab, 8)) == runs[:1]
    assert runs_of(take(lab, 8)) == runs[1:]


def test_evaluations_are_no_part_of_a_cohort(lab: Lab) -> None:
    post(lab, "a")
    lab.train()
    assert lab.take_all(TRAIN) == []
    assert ahead(lab) is None
