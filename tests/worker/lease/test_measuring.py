"""What attempts measure of themselves, and where it stays."""

from __future__ import annotations

import math
import subprocess
from pathlib import Path

import pytest

from ml.reproducibility.library_versions import library_versions
from store.database.tables import Attempt
from store.experiments import cancel
from store.states import AttemptEnd, RunState
from tests.worker.workplace import PATIENCE, STEPS, Workplace, meanwhile, on_sqlite, until
from worker.lease.measuring import Measuring
from worker.process.commit import commit
from worker.training import train_next


def attempts(workplace: Workplace, run_id: str) -> list[Attempt]:
    with workplace.stores.database.read() as session:
        return session.query(Attempt).filter_by(run_id=run_id).order_by(Attempt.fence).all()


@on_sqlite
def test_an_attempt_keeps_how_far_and_how_fast_it_trained(
    workplace: Workplace, slow_steps: None
) -> None:
    run_id = workplace.post()
    with meanwhile(train_next) as work:
        until(lambda: "measured" in (workplace.job(run_id).progress or {}))
        cancel.cancel_run(workplace.stores.database, run_id)
        assert work.result(timeout=PATIENCE)
    [first] = attempts(workplace, run_id)
    assert first.end is AttemptEnd.CANCELLED
    assert first.measured is not None
    stopped_at = first.measured["to_step"]
    assert first.measured["from_step"] == 1 < stopped_at < STEPS
    # Each step is slowed down by 20 ms or more.
    assert first.measured["step_seconds"] >= 0.02 * (stopped_at - 1)
    assert first.measured["energy_joules"] is None

    cancel.resume_run(workplace.stores.database, run_id)
    assert train_next()
    _, second = attempts(workplace, run_id)
    assert second.end is AttemptEnd.DONE
    assert second.measured is not None
    assert (second.measured["from_step"], second.measured["to_step"]) == (stopped_at + 1, STEPS)


@on_sqlite
def test_an_attempt_that_measured_nothing_does_not_show_what_another_did(
    workplace: Workplace, slow_steps: None, drained: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = workplace.post()
    with meanwhile(train_next) as work:
        until(lambda: "measured" in (workplace.job(run_id).progress or {}))
        cancel.cancel_run(workplace.stores.database, run_id)
        assert work.result(timeout=PATIENCE)
    cancel.resume_run(workplace.stores.database, run_id)

    def fails(*_: object, **__: object) -> None:
        raise ValueError("no training today")

    monkeypatch.setattr("worker.training.train_cohort", fails)
    assert train_next()
    first, second = attempts(workplace, run_id)
    assert first.measured is not None
    assert (second.end, second.measured) == (AttemptEnd.FAILED, None)


def test_a_record_tells_of_code_and_libraries_from_the_first_attempt_on(
    workplace: Workplace, slow_steps: None
) -> None:
    run_id = workplace.post()
    with meanwhile(train_next) as work:
        until(lambda: workplace.run(run_id).record)
        before = workplace.run(run_id).record
        assert workplace.run(run_id).state is RunState.TRAINING
        assert work.result(timeout=PATIENCE)
    after = workplace.run(run_id).record
    assert before is not None and after is not None
    assert before["versions"] == library_versions()
    assert before["commit"] == commit()
    assert before["dataset"]["name"] == "digits"
    assert len(after["dataset"]["source"]) == 64
    for key in ("versions", "commit"):
        assert after[key] == before[key]
    assert after["history"][0]["from_step"] == 0


def test_the_commit_is_the_one_that_git_tells() -> None:
    folder = Path(__file__).parents[3]
    told = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True)
    if told.returncode != 0 or not (folder / ".git").is_dir():
        pytest.skip("the code is in no checkout")
    assert commit() == told.stdout.strip()


def test_energy_is_that_of_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    counter = iter([1000.0, 1400.0])
    measuring = Measuring(lambda: next(counter))
    measuring.hear("preparing", 3)
    assert measuring.document() is None
    for step in (11, 12, 13):
        measuring.hear("training", step)
    measuring.hear("encoding", 100)
    measuring.hear("encoding", 200)
    found = measuring.document()
    assert found is not None
    assert (found["from_step"], found["to_step"], found["energy_joules"]) == (11, 13, 400.0)
    assert math.isfinite(found["step_seconds"])
