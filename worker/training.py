"""Training: claim runs that can be trained together, and train them side by side."""

from __future__ import annotations

import gc
import logging
import math
from collections.abc import Iterator
from contextlib import ExitStack

import torch

from ml.reproducibility.environment import default_device, environment
from ml.training.loop import train_cohort
from ml.training.packing import WIDEST, is_out_of_memory, widest
from store.database.outages import DATABASE_OUTAGE
from store.jobs.claim import claim_beside, count_beside
from store.states import JobKind
from worker.held_run import HeldRun
from worker.lease.outcome import MayBeAnother
from worker.process.settings import worker_settings
from worker.process.storage import claim_if_able
from worker.process.stores import stores, worker_name

logger = logging.getLogger(__name__)


def train_next() -> bool:
    """Train the run whose turn it is and others beside it. Returns False if none waits."""
    here = stores()
    try:
        device = default_device()
        device_model = str(environment(device)["device_model"])
    except Exception:
        # Celery would hand the error to its parent process, which would import torch for it.
        logger.exception("there is no device to train on")
        return False
    torch.set_num_threads(worker_settings().train_threads)
    claims = claim_if_able(here, JobKind.TRAIN, device_model=device_model)
    if not claims:
        return False
    try:
        with ExitStack() as held:
            head = held.enter_context(HeldRun(here, claims[0]))
            if head.understood():
                runs = [head, *_others(held, head, device, device_model)]
                # Another version may have computed the keys and widths in the database, so they are
                # checked again here.
                for run in runs[1:]:
                    if run.understood() and not run.goes_with(head):
                        run.release()
                _train([run for run in runs if not run.ended], head.claim.cohort_width, device)
    except Exception:
        # The error must not reach Celery, as above. None of the runs has a lease any more.
        logger.exception("training was broken off")
    # Errors hold the frames that they passed through, and the frames hold the cohort's tensors.
    gc.collect()
    return True


def _others(
    held: ExitStack, head: HeldRun, device: torch.device, device_model: str
) -> Iterator[HeldRun]:
    """Runs to train beside the first, as many as fit, each held from now on.

    The width is measured while the first run is held, so an error of measuring is that run's.
    """
    here = head.here
    try:
        width = head.claim.cohort_width or _width(head, device, device_model)
        others = claim_beside(
            here.database,
            head.claim,
            device_model=device_model,
            width=width - 1,
            worker=worker_name(),
            lease_seconds=here.settings.lease_seconds,
            rules=here.settings.rules,
        )
    except DATABASE_OUTAGE:
        logger.warning("the database is away; %s goes alone", head.claim.run_id)
        return
    for other in others:
        yield held.enter_context(HeldRun(here, other))


def _width(head: HeldRun, device: torch.device, device_model: str) -> int:
    """How many runs to train side by side, the head included."""
    allowed = worker_settings()
    processes = allowed.train_processes
    beside = count_beside(
        head.here.database, head.claim, device_model=device_model, most=WIDEST * processes - 1
    )
    # Other training processes take their shares of the waiting runs.
    share = math.ceil((1 + beside) / processes)
    try:
        return widest(head.spec, device, share, asked=allowed.cohort_width)
    except Exception:
        # The run will meet the same error in training, where it is recorded as the run's own.
        logger.exception("could not measure how many runs like %s fit", head.claim.run_id)
        return 1


def _train(runs: list[HeldRun], bound: int | None, device: torch.device) -> None:
    width = bound or len(runs)
    for run in runs:
        run.place_of(device, width)
    try:
        outcomes = train_cohort(
            [run.spec for run in runs], [run.lease for run in runs], width=width, device=device
        )
        for index, outcome in outcomes:
            runs[index].end(outcome)
    except Exception as error:
        # This is an error of the device or a bug of ours. It concerns all runs still in training.
        still = [run for run in runs if not run.ended]
        shared = len(still) > 1 and not is_out_of_memory(error)
        for run in still:
            run.end(MayBeAnother(error) if shared else error)
        if isinstance(error, torch.AcceleratorError):
            # After such an error this process can do nothing more on the device.
            raise SystemExit(1) from error
