"""What users do: post, cancel, resume, and ask for evaluations by themselves."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from store.errors import NotTrained, WrongState
from store.experiments.cancel import cancel_experiment, cancel_run, resume_experiment, resume_run
from store.experiments.evaluations import cancel_evaluation, resume_evaluation
from store.states import (
    EVALUATION_LIVE,
    EVALUATION_RESUMABLE,
    RUN_LIVE,
    RUN_RESUMABLE,
    EvaluationState,
    RunState,
)
from tests.store.lab import new_run
from tests.store.machine.ledger import Place
from tests.store.machine.moments import Moments, one
from tests.store.machine.rows import counted

CANCEL = {"run": cancel_run, "experiment": cancel_experiment, "evaluation": cancel_evaluation}
RESUME = {"run": resume_run, "experiment": resume_experiment, "evaluation": resume_evaluation}
#: A kind, as above, and an id.
Thing = tuple[str, str]

COHORT_KEYS = {"a": "one", "b": "one", "c": "two"}
KEYS = ["mig", "dci"]
PLACES = st.lists(
    st.tuples(st.sampled_from(sorted(COHORT_KEYS)), st.sampled_from(KEYS)), min_size=1, max_size=3
)
# Seldom, as sharing is what can go wrong.
FORCE = st.integers(0, 4).map(lambda number: number == 4)
FILES = ["x", "y"]


class Users(Moments):
    @initialize(places=PLACES)
    def begin(self, places: list[tuple[str, str]]) -> None:
        self.post(places, force=False, priority=0)

    @precondition(lambda self: len(self.rows["experiments"]) < 6)
    @rule(places=PLACES, force=FORCE, priority=st.integers(0, 2))
    def post(self, places: list[tuple[str, str]], force: bool, priority: int) -> None:
        runs = [
            new_run(train_id, evaluation=key, cohort_key=COHORT_KEYS[train_id])
            for train_id, key in places
        ]
        id = self.lab.post(runs=runs, force=force, priority=priority)
        links = self.lab.links(id)
        if force:
            for train_id, _ in places:
                self.ledger.current.pop(train_id, None)
        for link, (train_id, key) in zip(links, places, strict=True):
            if train_id not in self.ledger.current:
                assert link.run_id not in self.ledger.existing
                self.ledger.current[train_id] = link.run_id
            assert link.run_id == self.ledger.current[train_id]
            self.ledger.existing.add(link.run_id)
            self.ledger.know(link.evaluation_id, link.run_id, key)
            self.ledger.places[id, link.position] = Place(link.run_id, link.evaluation_id)
        self.ledger.demand(link.evaluation_id for link in links)

    @precondition(lambda self: self.things(RUN_LIVE, EVALUATION_LIVE))
    @rule(thing=one(lambda self: self.things(RUN_LIVE, EVALUATION_LIVE)))
    def cancel(self, thing: Thing) -> None:
        kind, id = thing
        CANCEL[kind](self.database, id)
        match kind:
            case "run":
                self.ledger.stop(self.ledger.of(id))
            case "experiment":
                self.ledger.withdraw(self.places_in(id, RUN_LIVE))
            case "evaluation":
                self.ledger.stop_alone(id)

    @precondition(lambda self: self.things(RUN_RESUMABLE, EVALUATION_RESUMABLE))
    @rule(thing=one(lambda self: self.things(RUN_RESUMABLE, EVALUATION_RESUMABLE)))
    def resume(self, thing: Thing) -> None:
        kind, id = thing
        RESUME[kind](self.database, id)
        match kind:
            case "run":
                self.ledger.demand_again(self.ledger.places_of(id))
                self.ledger.demand(self.ledger.alone & {*self.ledger.of(id)})
            case "experiment":
                self.ledger.demand_again(self.places_in(id, RUN_RESUMABLE))
            case "evaluation":
                self.ledger.demand_alone(id)

    def ask_in_vain(self) -> None:
        """What is over cannot be cancelled, and what goes on or has succeeded not resumed."""
        for acts, possible in (
            (CANCEL, self.things(RUN_LIVE, EVALUATION_LIVE)),
            (RESUME, self.things(RUN_RESUMABLE, EVALUATION_RESUMABLE)),
        ):
            for kind, id in self.everything():
                if (kind, id) not in possible:
                    with pytest.raises((WrongState, NotTrained)):
                        acts[kind](self.database, id)
        self.nothing_has_changed()

    @precondition(lambda self: self.not_wanted_alone())
    @rule(what=one(lambda self: self.not_wanted_alone()))
    def evaluate(self, what: tuple[str, str]) -> None:
        """Ask for scores of a file, or for more of a trained run."""
        of, key = what
        asked = self.lab.send(of, key) if of in FILES else self.lab.evaluate_again(of, key)
        self.ledger.know(asked.id, of, key, is_file=of in FILES)
        self.ledger.demand_alone(asked.id)

    # What there is at this moment

    def things(
        self, runs: frozenset[RunState], evaluations: frozenset[EvaluationState]
    ) -> list[Thing]:
        """Runs and evaluations in these states, and experiments in which some run counts so.

        An evaluation stands for itself once its run is trained.
        """

        def chosen(kind: str, id: str) -> bool:
            if kind == "run":
                return self.rows["runs"][id].state in runs
            if kind == "experiment":
                return bool(self.places_in(id, runs))
            alone = self.ledger.run_of[id] in {None, *self.ledger.trained}
            return alone and self.rows["evaluations"][id].state in evaluations

        return [(kind, id) for kind, id in self.everything() if chosen(kind, id)]

    def everything(self) -> list[Thing]:
        return [
            *(("run", id) for id in self.ledger.runs),
            *(("experiment", id) for id in self.ledger.experiments),
            *(("evaluation", id) for id in self.ledger.run_of),
        ]

    def places_in(self, experiment_id: str, states: frozenset[RunState]) -> list[Place]:
        """The places of an experiment whose runs count with one of these states."""
        return [
            self.ledger.places[place]
            for place, state in counted(self.rows).items()
            if place[0] == experiment_id and state in states
        ]

    def not_wanted_alone(self) -> list[tuple[str, str]]:
        """What could be evaluated that nobody wants by itself yet: files and trained runs."""
        wanted = self.ledger.alone & {*self.ledger.asked, *self.ledger.scores}
        return [
            (of, key)
            for of in [*FILES, *sorted(self.ledger.trained)]
            for key in KEYS
            if self.ledger.keys.get((of, key)) not in wanted
        ]
