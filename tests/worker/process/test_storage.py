"""Folders that fail: full, read-only, gone, in each case healed later."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from api.answers.waiting import reason
from api.documents.runs import run_document
from api.state.queues import Standing
from store import queries
from store.database.tables import Job, Trouble
from store.experiments.cancel import cancel_run, resume_run
from store.scheduling.fair_share import Rules
from store.scheduling.queue import queue
from store.states import JobKind, JobState, RunState
from store.workers.troubles import record_trouble, troubles
from tests.worker.workplace import (
    PATIENCE,
    STEPS,
    Trained,
    Workplace,
    meanwhile,
    on_sqlite,
    spec,
    until,
)
from worker.evaluation import evaluate_next
from worker.process import draining
from worker.reaping import reap_now
from worker.training import train_next

pytestmark = on_sqlite

FULL = errno.ENOSPC


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be kept is tried again without delay."""
    monkeypatch.setattr("worker.lease.conclusion.BEATS_BETWEEN_TRIES", 1)


@pytest.fixture
def claims_anyway(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the folders fail only after the job was claimed."""
    monkeypatch.setattr("worker.process.storage._trouble", lambda _: None)


@contextmanager
def broken(folder: Path, number: int) -> Iterator[None]:
    """No file below this folder reaches the disk."""
    folder.mkdir(parents=True, exist_ok=True)
    sync = os.fsync

    def fails(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink().is_relative_to(folder):
            raise OSError(number, os.strerror(number))
        sync(descriptor)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", fails)
        yield


@contextmanager
def unmounted(folder: Path) -> Iterator[None]:
    """What a mount leaves behind when it goes: an empty folder."""
    aside = folder.with_name("aside")
    folder.rename(aside)
    folder.mkdir()
    yield
    folder.rmdir()
    aside.rename(folder)


def trouble_of(workplace: Workplace, run_id: str) -> str | None:
    document = run_document(workplace.run(run_id), None)
    return document.progress.trouble


def stop(workplace: Workplace, run_id: str, wish: str) -> None:
    if wish == "cancel":
        cancel_run(workplace.stores.database, run_id)
    else:
        draining.begin()


def go_on(workplace: Workplace, run_id: str) -> None:
    """Train a run that was stopped to its end."""
    draining._flag[0] = 0
    if workplace.run(run_id).state is RunState.CANCELLED:
        resume_run(workplace.stores.database, run_id)
    assert train_next()


@pytest.mark.parametrize("kept", ["checkpoints", "objects"])
def test_a_worker_whose_folders_fail_takes_no_job_and_says_why(
    kept: str, workplace: Workplace, caplog: pytest.LogCaptureFixture
) -> None:
    run_id = workplace.post(spec(steps=2))
    folder = getattr(workplace.stores, kept).root
    with broken(folder, FULL):
        for _ in range(3):
            assert not train_next()
        assert workplace.job(run_id).attempts == 0
        told = troubles(workplace.stores.database)
        assert waits(workplace, run_id, told) == (
            f"waits: the {kept.removesuffix('s')} folder {folder} cannot be written:"
            " No space left on device; it is next"
        )
        assert len([line for line in caplog.messages if "No space left" in line]) == 1
    assert train_next()
    assert troubles(workplace.stores.database) == {}
    assert workplace.run(run_id).state is RunState.EVALUATING


def test_trouble_of_a_worker_that_is_gone_is_forgotten(workplace: Workplace) -> None:
    database = workplace.stores.database
    record_trouble(database, "gone", JobKind.TRAIN, "a full disk")
    record_trouble(database, "here", JobKind.EVALUATE, "another")
    assert troubles(database) == {JobKind.TRAIN: "a full disk", JobKind.EVALUATE: "another"}
    with database.write() as session:
        session.query(Trouble).filter_by(worker="gone").update({"seen_at": Trouble.seen_at - 61})
    assert troubles(database) == {JobKind.EVALUATE: "another"}
    record_trouble(database, "here", JobKind.EVALUATE, "another")
    with database.read() as session:
        assert [row.worker for row in session.query(Trouble)] == ["here"]


@pytest.mark.parametrize("number", [FULL, errno.ESTALE])
def test_training_goes_on_while_checkpoints_cannot_be_written(
    number: int, workplace: Workplace, undisturbed: Trained, slow_steps: None
) -> None:
    run_id = workplace.post()
    with meanwhile(train_next) as work:
        until(lambda: workplace.checkpoint_steps(run_id))
        with broken(workplace.stores.checkpoints.root, number):
            until(lambda: trouble_of(workplace, run_id))
            before = workplace.checkpoint_steps(run_id)
            assert os.strerror(number) in (trouble_of(workplace, run_id) or "")
        until(lambda: workplace.checkpoint_steps(run_id) > before)
        until(lambda: trouble_of(workplace, run_id) is None)
        assert work.result(timeout=PATIENCE)
    assert workplace.trained(run_id).same(undisturbed)
    assert workplace.job(run_id).attempts == 1


def test_a_checkpoint_folder_that_vanishes_is_not_written_beside(
    workplace: Workplace, undisturbed: Trained, slow_steps: None
) -> None:
    run_id = workplace.post()
    root = workplace.stores.checkpoints.root
    with meanwhile(train_next) as work:
        until(lambda: workplace.checkpoint_steps(run_id))
        with unmounted(root):
            until(lambda: trouble_of(workplace, run_id))
            assert "Mount the folder" in (trouble_of(workplace, run_id) or "")
            assert list(root.iterdir()) == []
        assert work.result(timeout=PATIENCE)
    assert workplace.trained(run_id).same(undisturbed)


@pytest.mark.parametrize("wish", ["cancel", "drain"])
def test_work_stops_without_a_checkpoint_that_cannot_be_written(
    wish: str, workplace: Workplace, undisturbed: Trained, slow_steps: None, drained: None
) -> None:
    run_id = workplace.post()
    with meanwhile(train_next) as work:
        until(lambda: workplace.checkpoint_steps(run_id))
        with broken(workplace.stores.checkpoints.root, FULL):
            until(lambda: trouble_of(workplace, run_id))
            before = workplace.checkpoint_steps(run_id)
            stop(workplace, run_id, wish)
            assert work.result(timeout=PATIENCE)
    state = RunState.CANCELLED if wish == "cancel" else RunState.QUEUED
    assert workplace.run(run_id).state is state
    assert trouble_of(workplace, run_id) is None
    assert workplace.checkpoint_steps(run_id) == before
    go_on(workplace, run_id)
    assert workplace.trained(run_id).same(undisturbed)


def test_a_run_whose_checkpoints_have_vanished_waits_and_does_not_begin_again(
    workplace: Workplace, undisturbed: Trained, slow_steps: None, drained: None
) -> None:
    run_id = workplace.post()
    with meanwhile(train_next) as work:
        until(lambda: workplace.checkpoint_steps(run_id))
        stop(workplace, run_id, "drain")
        assert work.result(timeout=PATIENCE)
    draining._flag[0] = 0
    before = workplace.checkpoint_steps(run_id)
    with unmounted(workplace.stores.checkpoints.root):
        assert not train_next()
        # And so it is where the folder vanishes between the claim and the look for checkpoints.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("worker.process.storage._trouble", lambda _: None)
            assert train_next()
        job = workplace.job(run_id)
        assert (job.state, job.losses) == (JobState.QUEUED, 0)
        assert workplace.checkpoint_steps(run_id) == before
    assert train_next()
    assert workplace.trained(run_id).same(undisturbed)


@pytest.mark.parametrize("work", [train_next, evaluate_next], ids=["training", "evaluation"])
def test_what_a_job_leaves_is_held_until_it_can_be_kept(
    work: Callable[[], bool],
    workplace: Workplace,
    undisturbed: Trained,
    claims_anyway: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("worker.evaluation.draw_pictures", lambda *_: {"traversal": b"a picture"})
    if work is evaluate_next:
        # What the first evaluation of a process imports and compiles may outlast a short lease.
        workplace.post(spec() | {"seed": 1})
        assert train_next() and evaluate_next()
    # The lease outlives its seconds while the job waits.
    workplace.configure(lease_seconds=1)
    run_id = workplace.post()
    kind, files = JobKind.TRAIN, {"codes.npz", "scalars.json", "weights.safetensors"}
    if work is evaluate_next:
        train_next()
        kind, files = JobKind.EVALUATE, files | {"traversal.png"}
    with meanwhile(work) as doing:
        with broken(workplace.stores.objects.root, FULL):
            until(lambda: trouble_of(workplace, run_id))
            assert "No space left" in (trouble_of(workplace, run_id) or "")
            time.sleep(1.5)
            reap_now()
            assert not doing.done()
            with workplace.stores.database.read() as session:
                job = session.query(Job).filter_by(run_id=run_id, kind=kind).one()
            assert (job.state, job.losses, job.attempts) == (JobState.RUNNING, 0, 1)
        assert doing.result(timeout=PATIENCE)
    assert workplace.trained(run_id).same(undisturbed)
    assert trouble_of(workplace, run_id) is None
    kept = queries.artifacts(workplace.stores.database, run_id)
    assert {artifact.name for artifact in kept} == files


@pytest.mark.parametrize("wish", ["cancel", "drain"])
def test_who_waits_for_the_object_folder_hears_of_a_wish_to_stop(
    wish: str, workplace: Workplace, undisturbed: Trained, drained: None, claims_anyway: None
) -> None:
    run_id = workplace.post()
    with meanwhile(train_next) as doing, broken(workplace.stores.objects.root, FULL):
        until(lambda: trouble_of(workplace, run_id))
        stop(workplace, run_id, wish)
        assert doing.result(timeout=PATIENCE)
    state = RunState.CANCELLED if wish == "cancel" else RunState.QUEUED
    assert workplace.run(run_id).state is state
    assert workplace.checkpoint_steps(run_id)[0] == STEPS
    go_on(workplace, run_id)
    assert workplace.trained(run_id).same(undisturbed)


def waits(workplace: Workplace, run_id: str, told: dict[JobKind, str]) -> str:
    """Why a run waits, as it is shown."""
    found = queue(workplace.stores.database, JobKind.TRAIN, Rules())
    return reason(found.of_run[run_id], Standing(found), told)
