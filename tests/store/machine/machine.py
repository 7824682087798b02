"""Users, workers and the reaper at one database, in any order."""

from __future__ import annotations

import sys

from store.queries import experiment, experiment_runs
from store.states import (
    EVALUATION_LIVE,
    RUN_LIVE,
    JobKind,
    RunState,
    experiment_state,
)
from tests.store.machine.deleters import Deleters
from tests.store.machine.ledger import subject
from tests.store.machine.rows import counted
from tests.store.machine.users import Users
from tests.store.machine.workers import Workers


class Machine(Users, Workers, Deleters):
    def finish_everything(self) -> None:
        """Cancellations are heard and the other workers lost; fresh ones do all that waits."""
        wanted = [
            place
            for place in self.ledger.places.values()
            if place.evaluation_id in self.ledger.asked
        ]
        for held in self.held():
            if self.ledger.goes_on(subject(held)):
                self.fall_silent(held, max_losses=None)
            else:
                self.acknowledge_cancel(held)
            self.laws_hold()
        self.reap(max_losses=1000)
        self.laws_hold()
        while kinds := self.kinds_waiting():
            self.claim(kinds[0], width=100, device="cpu")
            self.laws_hold()
            for held in self.held():
                if held.kind is JobKind.TRAIN:
                    self.finish_training(held)
                else:
                    self.finish_evaluation(held, scores=[1])
                self.laws_hold()
        for place in wanted:
            assert self.rows["runs"][place.run_id].state is RunState.SUCCEEDED
            assert place.evaluation_id in self.ledger.scores
        assert not any(row.state in RUN_LIVE for row in self.rows["runs"].values())
        assert not any(row.state in EVALUATION_LIVE for row in self.rows["evaluations"].values())
        self.what_is_shown_adds_up()

    def what_is_shown_adds_up(self) -> None:
        counts = counted(self.rows)
        for id in self.rows["experiments"]:
            states = {place[1]: state for place, state in counts.items() if place[0] == id}
            shown = {link.position: link.state for link in experiment_runs(self.database, id)}
            assert shown == states
            expected = experiment_state(dict.fromkeys(states.values(), 1))
            assert experiment(self.database, id).state is expected

    def teardown(self) -> None:
        # Not when a rule has failed: its error is the one to tell.
        if sys.exc_info()[0] is None:
            self.ask_in_vain()
            self.finish_everything()
