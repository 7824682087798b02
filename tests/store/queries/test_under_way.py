from __future__ import annotations

from store.database.connection import Database
from store.experiments.cancel import cancel_experiment
from store.queries.under_way import Work, under_way
from tests.store.lab import Lab


def test_what_has_not_ended_is_found_in_one_look(database: Database) -> None:
    lab = Lab(database)
    first, second = lab.post("first"), lab.post("second")
    asked = {(Work.EXPERIMENT, first), (Work.EXPERIMENT, second), (Work.EXPERIMENT, "exp_x")}
    asked |= {(Work.RUN, "run_x"), (Work.EVALUATION, "eval_x")}
    assert under_way(database, asked) == {(Work.EXPERIMENT, first), (Work.EXPERIMENT, second)}
    cancel_experiment(database, first)
    assert under_way(database, asked) == {(Work.EXPERIMENT, second)}
    assert under_way(database, []) == set()
