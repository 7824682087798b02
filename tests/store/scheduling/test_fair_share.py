"""The fair share, by hand-worked cases and as properties."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.scheduling.fair_share import (
    HALF_LIFE_SECONDS,
    FairShare,
    Held,
    Rules,
    Share,
    Waiting,
    accrued,
    faded,
)

NOW = 1e6
RULES = Rules()


def waiting(owner: str, *, since: float = 10, priority: int = 0, short: bool = False) -> Waiting:
    return Waiting(owner, priority, short, NOW - since, 1)


def held(owner: str, worker: str = "w", *, since: float = 10, **others: int) -> Held:
    values = {"priority": 0, "short": False} | others
    return Held(worker, owner, since=NOW - since, **values)


def share(owner: str, seconds: float, *, priority: int = 0, taken: float = 10) -> Share:
    return Share(owner, priority, False, seconds, NOW, NOW - taken)


def owners(fair_share: FairShare) -> list[str]:
    return [group.owner for group in fair_share.order()]


def test_service_fades_by_half_and_adds_up_to_its_integral() -> None:
    assert faded(8.0, HALF_LIFE_SECONDS) == 4.0
    # The sum of short stretches, each faded by its age.
    parts = sum(faded(1.0, age + 0.5) for age in range(10_000))
    assert accrued(10_000) == pytest.approx(parts, rel=1e-6)
    assert accrued(1e12) == pytest.approx(HALF_LIFE_SECONDS / math.log(2))


def test_priority_goes_before_service_and_service_before_age() -> None:
    found = [
        waiting("had most", since=500),
        waiting("had some", since=400),
        waiting("had none", since=1),
        waiting("had most", since=1, priority=1),
    ]
    shares = [share("had most", 300), share("had some", 100)]
    order = FairShare(NOW, RULES, found, shares=shares).order()
    assert [(group.owner, group.priority) for group in order] == [
        ("had most", 1),
        ("had none", 0),
        ("had some", 0),
        ("had most", 0),
    ]


def test_jobs_side_by_side_share_their_workers_seconds() -> None:
    together = [held("ada", since=400, together=4)] * 4
    fair_share = FairShare(NOW, RULES, [], [*together, held("ben", "v", since=400)])
    assert fair_share.served("ada") == pytest.approx(fair_share.served("ben"))


def test_a_short_job_goes_first_within_its_owners_share() -> None:
    found = [waiting("ada", since=100), waiting("ben", short=True)]
    fair = [share("ada", 1000), share("ben", 1000)]
    assert owners(FairShare(NOW, RULES, found, shares=fair)) == ["ben", "ada"]
    greedy = [share("ada", 1000), share("ben", 3000)]
    assert owners(FairShare(NOW, RULES, found, shares=greedy)) == ["ada", "ben"]
    # One of his is worked on already.
    busy = [held("ben", since=1, short=True)]
    assert owners(FairShare(NOW, RULES, found, busy, fair)) == ["ada", "ben"]


def test_who_has_as_much_as_one_may_have_waits() -> None:
    fair_share = FairShare(
        NOW, Rules(most_running=1), [waiting("ada"), waiting("ben")], [held("ada")]
    )
    assert owners(fair_share) == ["ben"]


@pytest.mark.parametrize(
    ("found", "going"),
    [
        # Served less than whoever has the worker.
        ([waiting("ben")], {"w"}),
        # The same owner's own work is no reason, unless it is of a higher priority.
        ([waiting("ada")], set()),
        ([waiting("ada", priority=1)], {"w"}),
        ([waiting("ben", priority=-1)], set()),
    ],
)
def test_a_worker_is_preempted_after_a_slice(found: list[Waiting], going: set[str]) -> None:
    for since, expected in ((RULES.slice_seconds - 1, set()), (RULES.slice_seconds, going)):
        fair_share = FairShare(NOW, RULES, found, [held("ada", since=since)])
        assert fair_share.preempted(idle=0) == expected
        assert fair_share.preempted(idle=1) == set()


def test_a_worker_is_preempted_for_a_short_job_after_a_minute() -> None:
    found = [waiting("ben", short=True)]
    for since, going in ((59, set()), (60, {"w"})):
        assert FairShare(NOW, RULES, found, [held("ada", since=since)]).preempted(0) == going
    # But not from another short one.
    brief = [held("ada", since=100, short=True)]
    assert FairShare(NOW, RULES, found, brief).preempted(0) == set()


def test_no_more_workers_are_preempted_than_jobs_wait() -> None:
    long = [held(f"ada {number}", f"w{number}", since=5000) for number in range(4)]
    assert len(FairShare(NOW, RULES, [waiting("ben")], long).preempted(0)) == 1
    two = [Waiting("ben", 0, False, NOW - 5, 2)]
    assert len(FairShare(NOW, RULES, two, long).preempted(0)) == 2


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_nobody_starves_whatever_the_priorities(data: st.DataObject) -> None:
    """Streams that never end, of any owners and priorities, and one job beside them."""
    streams = data.draw(
        st.lists(
            st.tuples(
                st.sampled_from(["ada", "ben", "cleo", "dora"]),
                st.integers(-3, 3),
                st.booleans(),
                st.integers(60, 1200),
            ),
            min_size=1,
            max_size=6,
            unique_by=lambda stream: stream[:3],
        )
    )
    mine = data.draw(st.sampled_from(["ada", "zoe"])), data.draw(st.integers(-5, 3))
    had = data.draw(st.floats(0, 20_000))
    now, began = NOW, NOW
    shares = {(*mine, False): share(mine[0], had, priority=mine[1])}
    posted = dict.fromkeys(streams, now)
    taken = None
    # One worker; every stream has a new job as soon as one of it is taken.
    levels = len({priority for _, priority, _, _ in streams} | {mine[1]})
    # Patience for each level, and as long as it takes others to have had as much.
    most = levels * RULES.patience_seconds + HALF_LIFE_SECONDS * 8
    while taken is None and now - began < most:
        found = [Waiting(o, p, s, posted[o, p, s, d], 1) for o, p, s, d in streams]
        me = Waiting(*mine, short=False, oldest=began, count=1)
        fair_share = FairShare(now, RULES, [*found, me], shares=list(shares.values()))
        first = fair_share.order()[0]
        if first == me:
            taken = now
            break
        stream = streams[found.index(first)]
        key = first.owner, first.priority, first.short
        before = shares.get(key, Share(*key, 0.0, now, now))
        after = now + stream[3]
        seconds = faded(before.seconds, after - before.at) + accrued(stream[3])
        shares[key] = Share(*key, seconds, after, now)
        posted[stream] = now = after
    assert taken is not None
