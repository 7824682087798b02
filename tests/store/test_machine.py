"""Whatever users and workers do, in whatever order, the state machine keeps its promises.

The rules, the model and the laws stand in `tests/store/machine`. The examples are the same each
time; `--machine-examples 1000` tries as many random ones on each database.
"""

from __future__ import annotations

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from store.database.connection import Database
from tests.store.machine.machine import Machine

EXAMPLES = {"sqlite": 6, "postgresql": 3}


# The examples are counted, and a failing one is made shorter for five minutes at most.
@pytest.mark.timeout(0)
def test_no_work_is_lost_and_none_is_done_twice(
    database: Database, request: pytest.FixtureRequest
) -> None:
    asked = request.config.getoption("machine_examples")
    with database.read() as session:
        kind = session.connection().dialect.name
    run_state_machine_as_test(
        lambda: Machine(database),
        settings=settings(
            max_examples=asked or EXAMPLES[kind],
            derandomize=asked is None,
            deadline=None,
            print_blob=True,
            # To explain a failure it would trace every line of the libraries too.
            phases=set(Phase) - {Phase.explain},
        ),
    )
