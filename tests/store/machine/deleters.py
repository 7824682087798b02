"""What users do to be rid of things, or to keep them: delete, pin, unpin; and the collector."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from store.errors import Pinned, WrongState
from store.retention.collect import collect_runs
from store.retention.delete import delete_evaluation, delete_experiment, pin_experiment, pin_run
from store.states import EVALUATION_LIVE, RUN_LIVE
from tests.store.machine.moments import Moments, one
from tests.store.machine.rows import counted

# Seldom, or little would live to its end.
MEANT = st.integers(0, 3).map(lambda number: number == 3)


class Deleters(Moments):
    @precondition(lambda self: self.rows["experiments"])
    @rule(id=one(lambda self: sorted(self.rows["experiments"])), meant=MEANT)
    def delete(self, id: str, meant: bool) -> None:
        ended = all(
            state not in RUN_LIVE for place, state in counted(self.rows).items() if place[0] == id
        )
        if not ended or id in self.ledger.pinned:
            with pytest.raises((Pinned, WrongState)):
                delete_experiment(self.database, id)
            self.nothing_has_changed()
        elif meant:
            delete_experiment(self.database, id)
            self.forget(self.ledger.drop(id))

    @precondition(lambda self: self.rows["evaluations"])
    @rule(id=one(lambda self: sorted(self.rows["evaluations"])), meant=MEANT)
    def delete_evaluation(self, id: str, meant: bool) -> None:
        run_id = self.ledger.run_of[id]
        if self.rows["evaluations"][id].state in EVALUATION_LIVE:
            with pytest.raises(WrongState):
                delete_evaluation(self.database, id)
            self.nothing_has_changed()
        elif meant:
            delete_evaluation(self.database, id)
            self.ledger.alone.discard(id)
            if run_id is None:
                self.ledger.forget_evaluation(id)
            else:
                self.forget([run_id])

    @precondition(lambda self: self.rows["runs"])
    @rule(
        id=one(lambda self: [*sorted(self.rows["runs"]), *sorted(self.rows["experiments"])]),
        pinned=MEANT,
    )
    def pin(self, id: str, pinned: bool) -> None:
        pin_it = pin_run if id in self.rows["runs"] else pin_experiment
        pin_it(self.database, id, pinned=pinned)
        (self.ledger.pinned.add if pinned else self.ledger.pinned.discard)(id)

    @rule()
    def collect(self) -> None:
        collect_runs(self.database)
        self.forget(self.rows["runs"])

    def forget(self, run_ids: Iterable[str]) -> None:
        """Those of these runs are gone that nothing holds and nobody works on."""
        for run_id in run_ids:
            live = self.rows["runs"][run_id].state in RUN_LIVE
            if not live and not self.ledger.is_held(run_id):
                self.ledger.forget(run_id)
