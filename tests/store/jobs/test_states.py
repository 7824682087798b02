from __future__ import annotations

import pytest

from store.states import (
    EvaluationState,
    ExperimentState,
    JobState,
    RunState,
    experiment_state,
    linked_state,
    settled_state,
    sources,
)

Q, T, E = RunState.QUEUED, RunState.TRAINING, RunState.EVALUATING
S, F, C = RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({Q: 3}, "queued"),
        ({Q: 3, T: 0, S: 0}, "queued"),
        ({Q: 3, T: 1}, "running"),
        ({Q: 3, S: 1}, "running"),
        ({E: 1, F: 1}, "running"),
        ({S: 2}, "succeeded"),
        ({S: 2, F: 1, C: 1}, "failed"),
        ({S: 2, C: 1}, "cancelled"),
    ],
)
def test_an_experiment_is_what_its_runs_add_up_to(
    counts: dict[RunState, int], expected: str
) -> None:
    assert experiment_state(counts) is ExperimentState(expected)


@pytest.mark.parametrize(
    ("run", "evaluation", "expected"),
    [
        (Q, EvaluationState.QUEUED, Q),
        (T, EvaluationState.QUEUED, T),
        (E, EvaluationState.QUEUED, E),
        (E, EvaluationState.RUNNING, E),
        # Another experiment's evaluation goes on, or has ended otherwise.
        (E, EvaluationState.SUCCEEDED, S),
        (E, EvaluationState.FAILED, F),
        (S, EvaluationState.FAILED, F),
        (S, EvaluationState.CANCELLED, C),
    ],
)
def test_a_run_counts_with_the_evaluation_that_the_experiment_asked_for(
    run: RunState, evaluation: EvaluationState, expected: RunState
) -> None:
    assert linked_state(run, evaluation) is expected
    assert linked_state(run, evaluation, wanted=False) is C


def test_a_trained_run_is_evaluating_until_the_last_evaluation_and_then_takes_the_best() -> None:
    queued, running = EvaluationState.QUEUED, EvaluationState.RUNNING
    done, failed, cancelled = (
        EvaluationState.SUCCEEDED,
        EvaluationState.FAILED,
        EvaluationState.CANCELLED,
    )
    assert settled_state([done, queued]) is E
    assert settled_state([failed, running]) is E
    assert settled_state([failed, done, cancelled]) is S
    assert settled_state([cancelled, failed]) is F
    assert settled_state([cancelled]) is C


def test_what_is_done_or_succeeded_is_never_queued_again() -> None:
    assert RunState.SUCCEEDED not in sources(RunState.QUEUED)
    assert EvaluationState.SUCCEEDED not in sources(EvaluationState.QUEUED)
    assert JobState.DONE not in sources(JobState.QUEUED)


def test_every_state_can_be_entered_from_others_only() -> None:
    for run in RunState:
        assert sources(run) - {run} == sources(run) != set()
    for evaluation in EvaluationState:
        assert sources(evaluation) - {evaluation} == sources(evaluation) != set()
    for job in JobState:
        assert sources(job) - {job} == sources(job) != set()
