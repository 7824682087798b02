"""The forecast is what its plain definition gives, and asks far less of each job."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.scheduling.fair_share import FairShare, Held, Rules, Share, Waiting
from store.scheduling.forecast import Ahead, Start, forecast
from tests.store.plain import forecast as plain
from tests.store.plain.fair_share import FairShare as PlainFairShare

NOW = 10_000.0
ages = st.sampled_from([0.0, 30.0, 61.0, 150.0, 1300.0, 4000.0, 9000.0])
owners = st.sampled_from(["ada", "bob", "cyn"])
priorities = st.integers(0, 2)


@st.composite
def jobs(draw: st.DrawFn, name: str) -> list[Ahead]:
    rows = st.tuples(
        owners,
        priorities,
        st.booleans(),
        ages,
        st.sampled_from([60.0, 600.0, 4000.0, None]),
        st.sampled_from([None, "a", "b"]),
        st.sampled_from([1, 2, 4]),
    )
    return [
        Ahead(f"{name} {number}", owner, priority, short, NOW - age, *rest)
        for number, (owner, priority, short, age, *rest) in enumerate(
            draw(st.lists(rows, max_size=25))
        )
    ]


@st.composite
def shares(draw: st.DrawFn) -> list[Share]:
    rows = st.tuples(owners, priorities, st.booleans(), st.floats(0, 5000), ages, ages)
    found = draw(st.lists(rows, max_size=8))
    return [
        Share(owner, priority, short, seconds, NOW - at, NOW - taken)
        for owner, priority, short, seconds, at, taken in found
    ]


def groups(waiting: list[Ahead]) -> list[Waiting]:
    found: dict[tuple[str, int, bool], list[Ahead]] = {}
    for job in sorted(waiting, key=lambda job: (job.created_at, job.id)):
        found.setdefault((job.owner, job.priority, job.short), []).append(job)
    return [Waiting(*group, queue[0].created_at, len(queue)) for group, queue in found.items()]


@settings(
    max_examples=150,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    jobs("waiting"),
    st.lists(st.tuples(jobs("held"), ages), max_size=3),
    shares(),
    st.integers(0, 2),
    st.sampled_from([None, 1, 2]),
)
def test_every_start_is_as_the_plain_forecast_has_it(
    waiting: list[Ahead],
    workers: list[tuple[list[Ahead], float]],
    served: list[Share],
    idle: int,
    most_running: int | None,
) -> None:
    held = {f"w{number}": found[:3] for number, (found, _) in enumerate(workers) if found}
    since = {f"w{number}": NOW - age for number, (_, age) in enumerate(workers)}
    working = [
        Held(name, job.owner, job.priority, job.short, since[name], len(found))
        for name, found in held.items()
        for job in found
    ]
    rules = Rules(most_running=most_running)
    state = (NOW, rules, groups(waiting), working, served)
    wanted = plain.forecast(PlainFairShare(*state), waiting, held, idle)  # type: ignore[arg-type]
    found = forecast(FairShare(*state), waiting, held, idle)
    assert list(found.items()) == list(wanted.items())
    # Both ask the fair share, whose two forms agree.
    assert FairShare(*state).order() == PlainFairShare(*state).order()
    assert FairShare(*state).preempted(idle) == PlainFairShare(*state).preempted(idle)


class Watched(str):
    """An id that counts how often it is looked at."""

    looks = 0

    def __hash__(self) -> int:
        Watched.looks += 1
        return super().__hash__()

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, other)


@pytest.fixture
def long_queue() -> Iterator[list[Ahead]]:
    Watched.looks = 0
    yield [
        Ahead(Watched(f"{number:05}"), "ada", 0, False, float(number), 600.0, "a", 4)
        for number in range(3000)
    ]


def test_jobs_that_wait_are_not_gone_through_at_every_moment(long_queue: list[Ahead]) -> None:
    now = FairShare(NOW, Rules(), groups(long_queue))
    found = forecast(now, long_queue, {}, idle=1)
    assert found["02999"].position == 3000
    assert found["00400"] == Start(401, 100 * 600.0)
    assert 0 < Watched.looks < 20 * len(long_queue)


def test_a_forecast_of_thousands_of_owners_looks_at_each_not_much_more_often_than_at_few(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waiting = [
        Ahead(f"{number:04}", f"owner {number:04}", 0, False, float(number), 60.0)
        for number in range(1000)
    ]
    now = FairShare(NOW, Rules(), groups(waiting))
    whole = forecast(now, waiting, {}, idle=2)
    looks: list[int] = []

    def counted(self: FairShare) -> list[Waiting]:
        looks.append(len(self.waiting))
        return list(self.waiting)

    monkeypatch.setattr(FairShare, "_takable", counted)
    monkeypatch.setattr("store.scheduling.forecast.MOST_LOOKS", 20_000)
    found = forecast(now, waiting, {}, idle=2)
    assert sum(looks) < 25_000
    # What was not played ahead is estimated, here to within two workers' jobs.
    for id, start in whole.items():
        assert found[id].position == start.position
        assert found[id].seconds == pytest.approx(start.seconds, abs=120.0)
