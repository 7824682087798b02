"""What holds between one moment and the next, whatever was done between."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Row

from store.states import sources
from tests.store.machine.rows import Rows, counted


def check_changes(before: Rows, after: Rows) -> None:
    states_move_as_they_may(before, after)
    fences_only_rise(before, after)
    every_change_is_told_where_it_counts_and_nothing_else(before, after)
    what_is_written_stays(before, after)


def states_move_as_they_may(before: Rows, after: Rows) -> None:
    for table in ("runs", "evaluations", "jobs"):
        for old, new in _both(table, before, after):
            assert old.state is new.state or old.state in sources(new.state), (old, new)


def fences_only_rise(before: Rows, after: Rows) -> None:
    for old, new in _both("jobs", before, after):
        assert old.fence <= new.fence <= old.fence + 1, (old, new)
        assert old.attempts <= new.attempts, (old, new)


def every_change_is_told_where_it_counts_and_nothing_else(before: Rows, after: Rows) -> None:
    then, now = counted(before), counted(after)
    changed = {
        (place[0], after["experiment_runs"][place].run_id, str(state))
        for place, state in now.items()
        if place in then and then[place] is not state
    }
    told = {
        (event.experiment_id, event.data["run_id"], event.data["state"])
        for key, event in after["events"].items()
        if key not in before["events"]
    }
    assert told == changed, (told, changed)


def what_is_written_stays(before: Rows, after: Rows) -> None:
    for table in ("events", "scores", "artifacts", "scalars"):
        for old, new in _both(table, before, after):
            assert old == new


def _both(table: str, before: Rows, after: Rows) -> Iterator[tuple[Row[Any], Row[Any]]]:
    """The rows that were there and still are, as they were and as they are."""
    for key, old in before[table].items():
        if key in after[table]:
            yield old, after[table][key]
