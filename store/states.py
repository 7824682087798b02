"""The states of runs, evaluations, jobs and experiments, and every allowed transition."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import TypeVar


class RunState(StrEnum):
    """How far one model has come."""

    QUEUED = "queued"  #: Waits for a worker to train it, for the first time or again.
    TRAINING = "training"  #: A worker holds it and trains.
    EVALUATING = "evaluating"  #: Trained; an evaluation of it waits or is running.
    SUCCEEDED = "succeeded"  #: Trained, and at least one evaluation has given scores.
    FAILED = "failed"  #: Ended by an error, which the run's document shows.
    CANCELLED = "cancelled"  #: Ended because somebody asked for it.


class EvaluationState(StrEnum):
    """How far one evaluation of a run has come."""

    QUEUED = "queued"  #: Waits for the training, or for a worker.
    RUNNING = "running"  #: A worker computes its scores and pictures.
    SUCCEEDED = "succeeded"  #: Its scores are there.
    FAILED = "failed"  #: Ended by an error of its own or of the training before it.
    CANCELLED = "cancelled"  #: Ended because nobody wanted it any more.


class JobState(StrEnum):
    """How far a unit of work is."""

    QUEUED = "queued"  #: Any worker may take it.
    RUNNING = "running"  #: The worker that holds the newest fence works on it.
    DONE = "done"  #: Its result is recorded.
    FAILED = "failed"  #: Ended by an error.
    CANCELLED = "cancelled"  #: Ended because somebody asked for it.


class JobKind(StrEnum):
    """What a unit of work does."""

    TRAIN = "train"  #: Train one run to its end.
    EVALUATE = "evaluate"  #: Score a trained run and draw its pictures.


class AttemptEnd(StrEnum):
    """How an attempt at a job ended."""

    DONE = "done"  #: Its result is recorded.
    FAILED = "failed"  #: An error ended the job.
    CANCELLED = "cancelled"  #: Somebody cancelled the job.
    GAVE_WAY = "gave_way"  #: Preempted: stopped at a checkpoint for somebody else's turn.
    RELEASED = "released"  #: Queued again because the worker ended, or a folder was away.
    LOST = "lost"  #: The worker fell silent, or an error stopped several jobs done together.


class ExperimentState(StrEnum):
    """The state of an experiment, which follows from the states of its runs."""

    QUEUED = "queued"  #: No run has started.
    RUNNING = "running"  #: Some run has started and some run has not ended.
    SUCCEEDED = "succeeded"  #: Every run has succeeded.
    FAILED = "failed"  #: All have ended, and at least one has failed.
    CANCELLED = "cancelled"  #: All have ended, none has failed, at least one was cancelled.


State = TypeVar("State", RunState, EvaluationState, JobState)

RUN_LIVE = frozenset({RunState.QUEUED, RunState.TRAINING, RunState.EVALUATING})
RUN_RESUMABLE = frozenset({RunState.FAILED, RunState.CANCELLED})
EVALUATION_LIVE = frozenset({EvaluationState.QUEUED, EvaluationState.RUNNING})
EVALUATION_RESUMABLE = frozenset({EvaluationState.FAILED, EvaluationState.CANCELLED})
JOB_RESUMABLE = frozenset({JobState.FAILED, JobState.CANCELLED})

# Each state, and the states it may be entered from.
_RUN_FROM: Mapping[RunState, frozenset[RunState]] = {
    RunState.QUEUED: frozenset({RunState.TRAINING}) | RUN_RESUMABLE,
    RunState.TRAINING: frozenset({RunState.QUEUED}),
    RunState.EVALUATING: frozenset({RunState.TRAINING, RunState.SUCCEEDED}) | RUN_RESUMABLE,
    RunState.SUCCEEDED: frozenset({RunState.EVALUATING}),
    RunState.FAILED: RUN_LIVE,
    RunState.CANCELLED: RUN_LIVE,
}
_EVALUATION_FROM: Mapping[EvaluationState, frozenset[EvaluationState]] = {
    EvaluationState.QUEUED: frozenset({EvaluationState.RUNNING}) | EVALUATION_RESUMABLE,
    EvaluationState.RUNNING: frozenset({EvaluationState.QUEUED}),
    EvaluationState.SUCCEEDED: frozenset({EvaluationState.RUNNING}),
    EvaluationState.FAILED: EVALUATION_LIVE,
    EvaluationState.CANCELLED: EVALUATION_LIVE,
}
_JOB_FROM: Mapping[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING}) | JOB_RESUMABLE,
    JobState.RUNNING: frozenset({JobState.QUEUED}),
    JobState.DONE: frozenset({JobState.RUNNING}),
    JobState.FAILED: frozenset({JobState.RUNNING}),
    JobState.CANCELLED: frozenset({JobState.QUEUED, JobState.RUNNING}),
}


def sources(to: State) -> frozenset[State]:
    """The states from which `to` may be entered. Every change of state depends on this."""
    if isinstance(to, RunState):
        return _RUN_FROM[to]
    if isinstance(to, EvaluationState):
        return _EVALUATION_FROM[to]
    return _JOB_FROM[to]


def settled_state(evaluations: Collection[EvaluationState]) -> RunState:
    """The state of a trained run, from the states of its evaluations.

    While an evaluation waits or is running, the run is evaluating. After that, a success outweighs
    failures, and a failure outweighs cancellations.
    """
    if any(state in EVALUATION_LIVE for state in evaluations):
        return RunState.EVALUATING
    if EvaluationState.SUCCEEDED in evaluations:
        return RunState.SUCCEEDED
    if EvaluationState.FAILED in evaluations:
        return RunState.FAILED
    return RunState.CANCELLED


def linked_state(run: RunState, evaluation: EvaluationState, *, wanted: bool = True) -> RunState:
    """The state that a run counts with in one experiment, which asked for one evaluation of it.

    Once that evaluation has ended, it decides, whatever other experiments still do with the run.
    If the experiment was cancelled while the run went on for others (`wanted` is false), the run
    counts as cancelled in it.
    """
    if not wanted:
        return RunState.CANCELLED
    if evaluation in EVALUATION_LIVE:
        return run
    return RunState(evaluation.value)


def experiment_state(counts: Mapping[RunState, int]) -> ExperimentState:
    """The state of an experiment, from how many of its runs are in each state."""
    present = {state for state, count in counts.items() if count}
    if present == {RunState.QUEUED}:
        return ExperimentState.QUEUED
    if present & RUN_LIVE:
        return ExperimentState.RUNNING
    if RunState.FAILED in present:
        return ExperimentState.FAILED
    if RunState.CANCELLED in present:
        return ExperimentState.CANCELLED
    return ExperimentState.SUCCEEDED
