"""What is before a place of the queue, counted place by place."""

from __future__ import annotations

import random

from api.state.queues import Standing
from store.scheduling.queue import OwnerStanding, Place, Queue
from store.states import JobKind

OWNERS = ["ada", "bob", "cyn", "dan"]


def test_what_is_before_a_place_is_counted_as_by_a_look_at_all_places_before_it() -> None:
    chance = random.Random(0)
    places = [
        Place(
            f"job {at}",
            JobKind.TRAIN,
            f"run {at}",
            None,
            chance.choice(OWNERS),
            chance.randrange(3),
            short=False,
            posted_at=0.0,
            position=at + 1,
            starts_in=None,
            seconds=None,
        )
        for at in range(60)
    ]
    served = {"ada": 3.0, "bob": 1.0, "cyn": 1.0, "dan": 2.0}
    owners = [
        OwnerStanding(name, JobKind.TRAIN, 0, 0, seconds, full=False)
        for name, seconds in served.items()
    ]
    found = Standing(Queue(JobKind.TRAIN, places, owners, 1, {}))
    for place in places:
        ahead = places[: place.position - 1]
        assert found.higher(place) == sum(one.priority > place.priority for one in ahead)
        assert found.less_served(place) == sorted(
            {
                one.owner
                for one in ahead
                if one.priority == place.priority and served[one.owner] < served[place.owner]
            }
        )
