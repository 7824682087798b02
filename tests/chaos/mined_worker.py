"""The worker's own application, on mined ground: `celery -A tests.chaos.mined_worker`.

A mine is a file in $CHAOS_MINES named after a place in the code. The first process that comes to
the place while the file lies there takes it away, leaves word of it, and is killed.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from functools import cache, wraps
from pathlib import Path
from typing import Any, TypeVar

from celery.signals import task_prerun

from tests.chaos.counter import counter
from worker.app import app

__all__ = ["PLACES", "app"]

PLACES = (
    "checkpoint half written",
    "checkpoint not recorded",
    "result not committed",
    "result committed",
)
"""Where a process may be killed to the instruction."""

T = TypeVar("T")


def tread(place: str) -> None:
    """Be killed if there is a mine."""
    mines = Path(os.environ["CHAOS_MINES"])
    try:
        (mines / place).unlink()
    except FileNotFoundError:
        return
    word = json.dumps({"place": place, "process": os.getpid(), "at": time.time()})
    (mines / f"trodden-{os.getpid()}").write_text(word)
    os.kill(os.getpid(), signal.SIGKILL)


@task_prerun.connect
def _lay(**_: Any) -> None:
    _lay_once(os.getpid())


@cache
def _lay_once(_process: int) -> None:
    # At the first task: Celery's parent must not import torch, and kills a child that takes seconds
    # to come up.
    import worker.evaluation
    import worker.held_run
    from store.files import checkpoint_folder
    from worker.lease.lease import Lease

    checkpoint_folder.write_whole = _mined_file(checkpoint_folder.write_whole)
    worker.held_run.finish_training = _mined_result(worker.held_run.finish_training)
    worker.evaluation.finish_evaluation = _mined_result(worker.evaluation.finish_evaluation)
    Lease.progress = _counted(Lease.progress)  # type: ignore[method-assign]
    # Real ones would take most of the time, and no harm that is of interest.
    worker.evaluation.draw_pictures = _sketch  # type: ignore[assignment]


def _mined_file(write_whole: Callable[..., T]) -> Callable[..., T]:
    def halves(chunks: list[bytes]) -> Iterator[bytes]:
        data = b"".join(chunks)
        yield data[: len(data) // 2]
        tread("checkpoint half written")
        yield data[len(data) // 2 :]

    def write(folder: Path, chunks: list[bytes], place: Callable[[str], Path]) -> T:
        written = write_whole(folder, halves(chunks), place)
        tread("checkpoint not recorded")
        return written

    return write


def _mined_result(finish: Callable[..., None]) -> Callable[..., None]:
    from sqlalchemy import event
    from sqlalchemy.orm import Session

    finishing = False

    @event.listens_for(Session, "before_commit")
    def _(_session: Session) -> None:
        if finishing:
            tread("result not committed")

    @wraps(finish)
    def mined(*arguments: Any, **options: Any) -> None:
        nonlocal finishing
        finishing = True
        try:
            finish(*arguments, **options)
        finally:
            finishing = False
        tread("result committed")

    return mined


def _sketch(model: Any, *_: Any) -> dict[str, bytes]:
    return {"traversal": f"a picture of seed {model.spec.seed}".encode()}


def _counted(progress: Callable[..., T]) -> Callable[..., T]:
    count = counter()

    def counting(self: Any, told: Any) -> T:
        if told.stage == "training":
            count()
        return progress(self, told)

    return counting
