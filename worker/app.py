"""The Celery application. Its parent process imports no `ml`: a parent that has used torch
cannot fork children that do."""

from __future__ import annotations

import logging
import sys
import time
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

from billiard import pool
from celery import Celery
from celery.schedules import schedule
from celery.signals import (
    after_setup_logger,
    celeryd_after_setup,
    celeryd_init,
    worker_process_init,
    worker_process_shutdown,
    worker_shutting_down,
)
from kombu.exceptions import OperationalError

from store.database.connection import check_local
from store.errors import BadDatabaseUrl, DatabaseOnNetwork
from store.settings import settings
from store.states import JobKind
from worker.process import draining, parent_death
from worker.process.broker import AMQP, TRANSPORT

logger = logging.getLogger(__name__)

# A child that is to end waits until its parent has read that its last task is done, for half a
# minute by default. A parent that was told to end as it handed the task over does not read it, and
# nobody needs it: what comes of a task is in the database.
pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = 10


def _monotonic() -> datetime:
    # Celery counts in dates, and by the wall clock a beat is silent for an hour when that is set
    # back by one.
    return datetime.fromtimestamp(time.monotonic(), UTC)


app = Celery("heddle", broker=settings().broker_url, amqp=AMQP)
app.conf.update(
    # A message is a hint: acknowledged at once, never needed again, and nobody waits for a result.
    # None expires, which would compare the sender's clock with the receiver's.
    task_acks_late=False,
    task_ignore_result=True,
    result_backend=None,
    task_serializer="json",
    accept_content=["json"],
    task_default_queue="control",
    task_routes={
        "heddle.train": {"queue": JobKind.TRAIN.value},
        "heddle.evaluate": {"queue": JobKind.EVALUATE.value},
        "heddle.reap": {"queue": "control"},
    },
    # A worker that is busy for three days must not sit on a second message. The multiplier would
    # count what is not acknowledged, and a broker that dies at the wrong moment would leave it one
    # for ever: the worker would never take another.
    worker_disable_prefetch=True,
    worker_prefetch_multiplier=0,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    worker_hijack_root_logger=True,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_transport_options=TRANSPORT,
    timezone="UTC",
    # A child imports torch before it says that it is up.
    worker_proc_alive_timeout=120.0,
    # One that keeps no file: what was due before a restart says nothing after it.
    beat_scheduler="celery.beat:Scheduler",
    beat_schedule={
        "reap": {
            "task": "heddle.reap",
            "schedule": schedule(settings().sweep_seconds, nowfun=_monotonic),
            # What waited while the service was down need not wait for longer.
            "last_run_at": datetime.fromtimestamp(0, UTC),
        }
    },
)


@celeryd_init.connect
def _refuse_unfit_database(**_: Any) -> None:
    # Celery would log any other error and go on.
    try:
        check_local(settings().database_url)
    except (BadDatabaseUrl, DatabaseOnNetwork) as error:
        sys.exit(str(error))


@after_setup_logger.connect
def _tell_of_work_alone(**_: Any) -> None:
    # Celery's three lines for each call of the reaper would be gigabytes a year.
    for name in ("celery.worker.strategy", "celery.app.trace", "celery.beat"):
        logging.getLogger(name).setLevel(logging.WARNING)


_queues: set[str] = set()
_WORK = {JobKind.TRAIN: "worker.training", JobKind.EVALUATE: "worker.evaluation"}


@celeryd_after_setup.connect
def _note_queues(instance: Any, **_: Any) -> None:
    _queues.update(instance.app.amqp.queues.consume_from)


@worker_process_init.connect
def _make_child_ready(**_: Any) -> None:
    parent_death.end_with_parent()
    # Before there is work: a child that follows one that was killed would else take seconds for it
    # when its job is given to others already.
    for kind, module in _WORK.items():
        if kind in _queues:
            import_module(module)
    kinds = [kind for kind in _WORK if kind in _queues]
    if kinds:
        import_module("worker.process.gpus").count_as_nvml()
        import_module("worker.lease.job_log").begin()
        # One that does both is known by what takes longer.
        import_module("worker.process.presence").begin(kinds[0])


@worker_process_shutdown.connect
def _say_gone(**_: Any) -> None:
    if any(kind in _queues for kind in _WORK):
        import_module("worker.process.presence").end()


@worker_shutting_down.connect
def _drain(**_: Any) -> None:
    # SIGTERM's warm shutdown waits for the task under way, and this makes that short. With
    # REMAP_SIGTERM=SIGQUIT Celery would tell us only after its soft shutdown has run out.
    draining.begin()


@app.task(name="heddle.train")
def train() -> None:
    """A hint that there may be a run to train."""
    from worker.training import train_next

    if not draining.under_way() and train_next():
        hint(JobKind.TRAIN)
        hint(JobKind.EVALUATE)


@app.task(name="heddle.evaluate")
def evaluate() -> None:
    """A hint that there may be something to evaluate."""
    from worker.evaluation import evaluate_next

    if not draining.under_way() and evaluate_next():
        hint(JobKind.EVALUATE)


@app.task(name="heddle.reap")
def reap() -> None:
    """Take back what silent workers held, and send hints for all that waits."""
    from worker.reaping import reap_now

    # Before the look at what waits, so that every hint for what comes after it is kept.
    _forget_messages()
    for kind, waiting in reap_now().items():
        for _ in range(waiting):
            hint(kind)


# A beat of an older version calls it so.
app.task(reap.run, name="heddle.sweep")


def hint(kind: JobKind) -> None:
    """Tell one worker that there is work of a kind. May be lost: the reaper sends more."""
    try:
        app.send_task(f"heddle.{kind.value}", retry=False)
    except OperationalError as error:
        logger.warning("no hint sent: %s", error)


def _forget_messages() -> None:
    # Workers that are busy for days read no hints, and the reaper would add to them for ever.
    # One call of it serves for all that were sent meanwhile.
    with app.connection_for_write() as connection:
        for queue in ("control", *JobKind):
            app.amqp.queues[str(queue)](connection.default_channel).purge()
