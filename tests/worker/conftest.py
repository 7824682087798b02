from __future__ import annotations

import functools
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
import torch

from ml.datasets.dataset import Dataset
from ml.datasets.digits import Digits
from ml.datasets.protocol import Progress
from ml.training.loop import train
from tests.ml.recorders import Kept
from tests.worker.workplace import Trained, Workplace, left_by, slow_down, spec
from worker.lease import job_log
from worker.process import draining


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def no_end_by_force(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' own process works, and on a busy machine a second is not long."""
    monkeypatch.setattr("worker.lease.heart.LEAST_SECONDS", 60.0)


@pytest.fixture(autouse=True)
def few_replicates(monkeypatch: pytest.MonkeyPatch) -> None:
    """How sure a score is takes most of a small evaluation's time, and matters to no test here."""
    of_information = "ml.metrics.information.information_metric"
    monkeypatch.setattr(f"{of_information}.MOST_REPLICATES", 30)
    monkeypatch.setattr(f"{of_information}.REDRAWN_ENDS", 5)
    monkeypatch.setattr("ml.codes.uncertainty.MOST_PERMUTATIONS", 5)


@pytest.fixture(scope="session", autouse=True)
def digits_once() -> Iterator[None]:
    """The digits are read once. Each training and each evaluation opens them twice."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Digits, "read", _digits)
        yield


_read = Digits.read


def _digits(self: Digits, progress: Progress | None = None) -> Dataset:
    dataset = _digits_of(self.size)
    if progress is not None:
        progress(len(dataset), len(dataset))
    return dataset


@functools.cache
def _digits_of(size: Literal[32, 64]) -> Dataset:
    return _read(Digits(size=size))


@pytest.fixture
def workplace(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workplace]:
    """A home with an empty database, once of each kind."""
    place = Workplace(database_url, tmp_path / "home", monkeypatch)
    yield place
    place.leave()


@pytest.fixture
def slow_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves time to do something to a run under way."""
    slow_down(monkeypatch)


@pytest.fixture
def drained() -> Iterator[None]:
    """A worker that may be told to end, and is as new afterwards."""
    yield
    draining._flag[0] = 0


@pytest.fixture
def logged() -> Iterator[None]:
    """This process's log goes to its jobs, and no longer when the test is over."""
    loggers = [logging.getLogger(name) for name in job_log.LOGGERS]
    levels = [logger.level for logger in loggers]
    job_log.begin()
    yield
    logging.captureWarnings(capture=False)
    for logger, level in zip(loggers, levels, strict=True):
        logger.removeHandler(job_log.job_log)
        logger.setLevel(level)


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing is most of a small evaluation's time."""
    monkeypatch.setattr("worker.evaluation.draw_pictures", lambda *_: {})


@pytest.fixture(scope="session")
def undisturbed(one_thread: None) -> Trained:
    """What `spec()` gives when nothing happens to it: trained without a worker or a database."""
    kept = Kept()
    return left_by(train(spec(checkpoint_minutes=2), kept), kept)
