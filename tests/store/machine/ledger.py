"""What was asked for and who works on it, as users and workers were told and by no state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from store.jobs.claim import Claim


@dataclass
class Place:
    """A run's place in an experiment."""

    run_id: str
    evaluation_id: str
    wanted: bool = True


class Ledger:
    """The model that the database is held against.

    The subject of a job is what it makes: a trained run, or an evaluation with its scores.
    """

    def __init__(self) -> None:
        self.places: dict[tuple[str, int], Place] = {}
        #: {train_id: run}: what a new experiment joins.
        self.current: dict[str, str] = {}
        #: {(run or file, evaluation key): evaluation}
        self.keys: dict[tuple[str, str], str] = {}
        #: {evaluation: run}; None for a file.
        self.run_of: dict[str, str | None] = {}
        #: Evaluations that are to come about and have not.
        self.asked: set[str] = set()
        #: Evaluations that somebody wants by themselves.
        self.alone: set[str] = set()
        self.trained: set[str] = set()
        self.scores: dict[str, list[int]] = {}
        #: {job: claim}
        self.held: dict[str, Claim] = {}
        #: Jobs whose workers have let their leases run out.
        self.silent: set[str] = set()
        #: Claims that count no longer.
        self.over: list[Claim] = []
        #: Subjects whose last attempt has failed.
        self.failed: set[str] = set()
        #: {subject: how often its workers were lost}
        self.losses: Counter[str] = Counter()
        #: Runs that were made and are not gone.
        self.existing: set[str] = set()
        #: Runs and experiments.
        self.pinned: set[str] = set()

    # What users do

    def know(self, evaluation_id: str, of: str, key: str, *, is_file: bool = False) -> None:
        """There is one evaluation of a run, or of a file, for each key."""
        assert self.keys.setdefault((of, key), evaluation_id) == evaluation_id
        self.run_of[evaluation_id] = None if is_file else of

    def demand(self, evaluation_ids: Iterable[str]) -> None:
        """Ask for evaluations. A training that is begun again is so for all who want the run."""
        for id in list(evaluation_ids):
            run_id = self.run_of[id]
            places = [] if run_id in self.trained else self.places_of(run_id)
            with_it = {place.evaluation_id for place in places if place.wanted}
            self.asked |= {id, *with_it} - set(self.scores)
        self.failed = {id for id in self.failed if not self.goes_on(id)}

    def demand_again(self, places: Iterable[Place]) -> None:
        chosen = list(places)
        for place in chosen:
            place.wanted = True
        self.demand(place.evaluation_id for place in chosen)

    def demand_alone(self, evaluation_id: str) -> None:
        self.alone.add(evaluation_id)
        self.demand([evaluation_id])

    def stop(self, evaluation_ids: Iterable[str]) -> None:
        self.asked -= set(evaluation_ids)
        self._forget_losses()

    def stop_alone(self, evaluation_id: str) -> None:
        self.alone.discard(evaluation_id)
        self.stop([evaluation_id])

    def withdraw(self, places: Iterable[Place]) -> None:
        """An experiment wants these of its places no more."""
        chosen = list(places)
        for place in chosen:
            place.wanted = False
        still = self.alone | {place.evaluation_id for place in self.places.values() if place.wanted}
        self.stop({place.evaluation_id for place in chosen} - still)

    def drop(self, experiment_id: str) -> set[str]:
        """An experiment is gone; returns the runs that it held."""
        gone = {place: known for place, known in self.places.items() if place[0] == experiment_id}
        for place in gone:
            del self.places[place]
        self.pinned.discard(experiment_id)
        return {place.run_id for place in gone.values()}

    def is_held(self, run_id: str) -> bool:
        """Whether an experiment, a pin or an evaluation wanted by itself holds a run."""
        return bool(
            self.places_of(run_id) or run_id in self.pinned or self.alone & {*self.of(run_id)}
        )

    def forget(self, run_id: str) -> None:
        """A run is gone, with its evaluations."""
        for id in self.of(run_id):
            self.forget_evaluation(id)
        self.existing.discard(run_id)
        self.trained.discard(run_id)
        self.failed.discard(run_id)
        self.current = {key: id for key, id in self.current.items() if id != run_id}

    def forget_evaluation(self, id: str) -> None:
        assert id not in self.asked
        del self.run_of[id]
        self.scores.pop(id, None)
        self.failed.discard(id)
        self.keys = {key: of for key, of in self.keys.items() if of != id}

    # What workers do

    def take(self, claims: Iterable[Claim]) -> None:
        for claim in claims:
            assert claim.job_id not in self.held
            self.held[claim.job_id] = claim

    def finish_training(self, claim: Claim) -> None:
        self.trained.add(claim.trains)
        self._let_go(claim)

    def finish_evaluation(self, claim: Claim, scores: list[int]) -> None:
        assert claim.evaluates not in self.scores
        self.scores[claim.evaluates] = scores
        self.asked.discard(claim.evaluates)
        self._let_go(claim)

    def fail(self, claim: Claim) -> None:
        id = claim.evaluation_id
        self.stop(self.of(claim.trains) if id is None else [id])
        self.failed.add(subject(claim))
        self._let_go(claim)

    def release(self, claim: Claim, *, lost: bool) -> None:
        self.losses[subject(claim)] += lost
        self._let_go(claim)

    def _let_go(self, claim: Claim) -> None:
        del self.held[claim.job_id]
        self.silent.discard(claim.job_id)
        self.over.append(claim)
        self._forget_losses()

    def _forget_losses(self) -> None:
        for id in list(self.losses):
            if self.holder(id) is None and not self.goes_on(id):
                del self.losses[id]

    # What follows

    @property
    def runs(self) -> list[str]:
        return list(dict.fromkeys(place.run_id for place in self.places.values()))

    @property
    def experiments(self) -> list[str]:
        return list(dict.fromkeys(id for id, _ in self.places))

    def of(self, run_id: str) -> list[str]:
        """The evaluations of a run."""
        return [id for id, of in self.run_of.items() if of == run_id]

    def places_of(self, run_id: str | None) -> list[Place]:
        return [place for place in self.places.values() if place.run_id == run_id]

    def goes_on(self, subject: str) -> bool:
        """Whether a worker should make it, or go on with it."""
        if subject in self.run_of:
            run_id = self.run_of[subject]
            return subject in self.asked and (run_id is None or run_id in self.trained)
        return subject not in self.trained and not self.asked.isdisjoint(self.of(subject))

    def holder(self, subject_id: str) -> Claim | None:
        return next((claim for claim in self.held.values() if subject(claim) == subject_id), None)


def subject(job: Any) -> str:
    """What a claim or a job's row is for."""
    return str(job.evaluation_id or job.run_id)
