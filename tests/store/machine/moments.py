"""A machine that looks at the whole database after each rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant

from store.database.connection import Database
from tests.store.lab import Lab
from tests.store.machine.changes import check_changes
from tests.store.machine.laws import check_laws
from tests.store.machine.ledger import Ledger
from tests.store.machine.rows import clear, read_rows

T = TypeVar("T")


class EveryRule:
    """Stands in for the choice of rules that Hypothesis would leave out of an example.

    Without those that take jobs and finish them, too little would come to its end.
    """

    def is_enabled(self, name: str) -> bool:
        return True


class Moments(RuleBasedStateMachine):
    """An empty database, the ledger beside it, and its rows after the last rule."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        clear(database)
        self.database = database
        self.lab = Lab(database)
        self.ledger = Ledger()
        self.rows = read_rows(database)
        self._rules_strategy.enabled_rules_strategy = st.just(EveryRule())

    @invariant()
    def laws_hold(self) -> None:
        before, self.rows = self.rows, read_rows(self.database)
        check_changes(before, self.rows)
        check_laws(self.rows, self.ledger)

    def nothing_has_changed(self) -> None:
        """What was refused has left no mark."""
        assert read_rows(self.database) == self.rows


def one(of: Callable[[Any], Sequence[T]]) -> st.SearchStrategy[T]:
    """One of what a machine has at this moment, the oldest first."""
    return st.runner().flatmap(lambda machine: st.sampled_from(of(machine)))
