from __future__ import annotations

from store.states import JobKind
from store.workers.presence import Presence, say_present
from tests.store.lab import Lab
from tests.worker.workplace import Workplace, on_sqlite
from worker.reaping import MOST_HINTS, reap_now


@on_sqlite
def test_the_reaper_wakes_all_idle_workers_but_no_more_than_there_are_jobs(
    workplace: Workplace,
) -> None:
    database = workplace.stores.database
    lab = Lab(database)
    lab.post(*(f"run {number}" for number in range(MOST_HINTS + 10)))
    # Nobody has reported a presence, which need not mean that nobody is there.
    assert reap_now() == {JobKind.TRAIN: MOST_HINTS, JobKind.EVALUATE: 0}
    for number in range(MOST_HINTS + 4):
        name = f"host:{number}"
        said = Presence(name, JobKind.TRAIN, "host", number, "cpu", "a CPU", None, None)
        say_present(database, said)
    assert reap_now()[JobKind.TRAIN] == MOST_HINTS + 4
    # Three of them are busy now.
    for number in range(3):
        lab.take(worker=f"host:{number}")
    assert reap_now()[JobKind.TRAIN] == MOST_HINTS + 1
    lab.take_all(JobKind.TRAIN, worker="host:3", width=MOST_HINTS + 5)
    assert reap_now()[JobKind.TRAIN] == 2
