"""What holds at every moment, whatever was done before."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from sqlalchemy import Row

from store.states import (
    EVALUATION_LIVE,
    RUN_LIVE,
    EvaluationState,
    JobKind,
    JobState,
    RunState,
    settled_state,
)
from tests.store.machine.ledger import Ledger, subject
from tests.store.machine.rows import Rows, counted, evaluations_of

KEPT = 2
"""How many checkpoints of a run are kept while it trains."""


def check_laws(rows: Rows, ledger: Ledger) -> None:
    whoever_has_claimed_a_job_and_nobody_else_holds_it(rows, ledger)
    what_is_asked_for_waits_or_is_worked_on_and_nothing_else(rows, ledger)
    every_evaluation_is_as_it_was_asked_for(rows, ledger)
    a_run_is_what_its_jobs_and_evaluations_add_up_to(rows)
    what_has_ended_tells_when_and_what_has_failed_why(rows)
    places_are_wanted_as_they_were_told(rows, ledger)
    what_is_held_is_there_and_what_was_deleted_is_gone(rows, ledger)
    events_are_numbered_without_gaps_and_end_at_the_state_that_counts(rows)
    nothing_is_finished_twice(rows, ledger)
    checkpoints_are_few_and_end_with_the_training(rows)


def whoever_has_claimed_a_job_and_nobody_else_holds_it(rows: Rows, ledger: Ledger) -> None:
    running = {id: job for id, job in rows["jobs"].items() if job.state is JobState.RUNNING}
    assert {id: job.fence for id, job in running.items()} == {
        id: claim.fence for id, claim in ledger.held.items()
    }
    for id, job in rows["jobs"].items():
        assert (job.lease_until is not None) == (id in running), job
        assert job.fence == job.attempts, job
        told_to_stop = id in running and not ledger.goes_on(subject(job))
        assert job.cancel_requested == told_to_stop, job
        if id in running:
            assert job.worker is not None, job
        if job.state is JobState.QUEUED:
            assert job.worker is None, job


def what_is_asked_for_waits_or_is_worked_on_and_nothing_else(rows: Rows, ledger: Ledger) -> None:
    jobs = {subject(job): job for job in rows["jobs"].values()}
    assert len(jobs) == len(rows["jobs"])
    assert set(rows["runs"]) == {
        job.run_id for job in rows["jobs"].values() if job.kind is JobKind.TRAIN
    }
    for id in [*rows["runs"], *rows["evaluations"]]:
        job = jobs.get(id)
        if ledger.holder(id) is not None:
            continue
        if ledger.goes_on(id):
            assert job is not None and job.state is JobState.QUEUED, (id, job)
            assert job.losses == ledger.losses[id], job
        elif id in ledger.trained or id in ledger.scores:
            assert job is not None and job.state is JobState.DONE, (id, job)
        elif job is not None:
            failed = id in ledger.failed
            assert job.state is (JobState.FAILED if failed else JobState.CANCELLED), job
        else:
            # It ended before its run was trained, which is what makes jobs of evaluations.
            assert ledger.run_of.get(id) is not None, id


def every_evaluation_is_as_it_was_asked_for(rows: Rows, ledger: Ledger) -> None:
    assert set(rows["evaluations"]) == set(ledger.run_of)
    for id, row in rows["evaluations"].items():
        assert row.wanted == (id in ledger.alone), row
        if ledger.holder(id) is not None:
            assert row.state is EvaluationState.RUNNING, row
        elif id in ledger.asked:
            assert row.state is EvaluationState.QUEUED, row
        elif id in ledger.scores:
            assert row.state is EvaluationState.SUCCEEDED, row
        elif row.state is EvaluationState.QUEUED:
            # It ends with the training, as soon as its worker stops.
            assert row.run_id not in ledger.trained, row
            assert ledger.holder(row.run_id) is not None, row
            assert not ledger.goes_on(row.run_id), row
        else:
            assert row.state in (EvaluationState.FAILED, EvaluationState.CANCELLED), row


def a_run_is_what_its_jobs_and_evaluations_add_up_to(rows: Rows) -> None:
    alike = {
        JobState.QUEUED: RunState.QUEUED,
        JobState.RUNNING: RunState.TRAINING,
        JobState.FAILED: RunState.FAILED,
        JobState.CANCELLED: RunState.CANCELLED,
    }
    for job in rows["jobs"].values():
        if job.kind is JobKind.EVALUATE:
            of = rows["evaluations"][job.evaluation_id].state
            assert of.value == job.state.value or job.state is JobState.DONE, (job, of)
            continue
        expected = alike.get(job.state) or settled_state(
            [row.state for row in evaluations_of(rows, job.run_id)]
        )
        assert rows["runs"][job.run_id].state is expected, (job, rows["runs"][job.run_id])


def what_has_ended_tells_when_and_what_has_failed_why(rows: Rows) -> None:
    for kind, live, failed in (
        ("runs", RUN_LIVE, RunState.FAILED),
        ("evaluations", EVALUATION_LIVE, EvaluationState.FAILED),
    ):
        for row in rows[kind].values():
            assert (row.finished_at is None) == (row.state in live), row
            assert (row.error is not None) == (row.state is failed), row


def places_are_wanted_as_they_were_told(rows: Rows, ledger: Ledger) -> None:
    assert {place: row.wanted for place, row in rows["experiment_runs"].items()} == {
        place: known.wanted for place, known in ledger.places.items()
    }


def what_is_held_is_there_and_what_was_deleted_is_gone(rows: Rows, ledger: Ledger) -> None:
    assert set(rows["runs"]) == ledger.existing
    assert set(rows["experiments"]) == set(ledger.experiments)
    pinned = {
        id for table in ("runs", "experiments") for id, row in rows[table].items() if row.pinned
    }
    assert pinned == ledger.pinned


def events_are_numbered_without_gaps_and_end_at_the_state_that_counts(rows: Rows) -> None:
    # A run may have two places in an experiment, with an evaluation each.
    states: dict[tuple[str, str], list[str]] = defaultdict(list)
    for place, state in counted(rows).items():
        states[place[0], rows["experiment_runs"][place].run_id].append(str(state))
    numbers: dict[str, list[int]] = defaultdict(list)
    last: dict[tuple[str, str], str] = {}
    for (experiment_id, number), event in sorted(rows["events"].items()):
        told, of = event.data["state"], (experiment_id, event.data["run_id"])
        assert event.type == f"run.{told}"
        assert last.get(of) != told or len(states[of]) > 1, event
        last[of] = told
        numbers[experiment_id].append(number)
    for id, experiment in rows["experiments"].items():
        assert numbers[id] == list(range(1, experiment.events + 1))
    for of, told in last.items():
        assert told in states[of], (of, told, states[of])


def nothing_is_finished_twice(rows: Rows, ledger: Ledger) -> None:
    found: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for score in rows["scores"].values():
        found[score.evaluation_id].append((score.position, score.document["value"]))
    assert {id: sorted(scores) for id, scores in found.items()} == {
        id: list(enumerate(scores)) for id, scores in ledger.scores.items() if scores
    }
    names = Counter((row.run_id, row.evaluation_id, row.name) for row in rows["artifacts"].values())
    assert set(names.values()) <= {1}, names
    for run_id, evaluation_id, _ in names:
        assert run_id in ledger.trained
        assert evaluation_id is None or evaluation_id in ledger.scores


def checkpoints_are_few_and_end_with_the_training(rows: Rows) -> None:
    jobs = {job.run_id: job for job in rows["jobs"].values() if job.kind is JobKind.TRAIN}
    of_runs: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in rows["checkpoints"].values():
        of_runs[row.run_id].append(row)
    for run_id, found in of_runs.items():
        assert len(found) <= KEPT
        assert jobs[run_id].state is not JobState.DONE
        assert max(row.fence for row in found) <= jobs[run_id].fence
