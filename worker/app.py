"""The Celery application. Its parent process imports no `ml`: after a parent has used torch, the
children that it forks cannot use it."""

from __future__ import annotations

import gc
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

# Before a child ends, it waits until its parent has read that its last task is done. By default it
# waits half a minute. A parent that had to end just as it handed the task over never reads it.
# Nobody needs the message: the result of a task is in the database.
pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = 10


def _monotonic() -> datetime:
    # Celery's beat compares dates. By the wall clock it would be silent for an hour after the clock
    # was set back by an hour.
    return datetime.fromtimestamp(time.monotonic(), UTC)


app = Celery("heddle", broker=settings().broker_url, amqp=AMQP)
app.conf.update(
    # A message is a hint. It is acknowledged at once and never needed again, and nobody waits for a
    # result. No message expires: Celery would compare the sender's clock with the receiver's.
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
    # A worker that is busy for three days must not hold a second message. A prefetch multiplier
    # would count the unacknowledged messages. A broker that dies at the wrong moment would leave
    # one of them unacknowledged for ever, and the worker would never take another.
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
    # A child imports torch before it reports that it is up.
    worker_proc_alive_timeout=120.0,
    # This scheduler keeps no file: what was due before a restart does not matter after it.
    beat_scheduler="celery.beat:Scheduler",
    beat_schedule={
        "reap": {
            "task": "heddle.reap",
            "schedule": schedule(settings().sweep_seconds, nowfun=_monotonic),
            # The first call is due at once: jobs have waited while the service was down.
            "last_run_at": datetime.fromtimestamp(0, UTC),
        }
    },
)


@celeryd_init.connect
def _refuse_unfit_database(**_: Any) -> None:
    # Celery would log any other exception and go on.
    try:
        check_local(settings().database_url)
    except (BadDatabaseUrl, DatabaseOnNetwork) as error:
        sys.exit(str(error))


@after_setup_logger.connect
def _quieten_celery(**_: Any) -> None:
    # Celery logs three lines for each call of the reaper, which would be gigabytes a year.
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
    # The imports come before there is work. Otherwise the successor of a killed child would spend
    # seconds on them while the lost job is already waiting for a worker. Nothing that is imported
    # is garbage, and searching for some would take a fifth of that time.
    gc.disable()
    for kind, module in _WORK.items():
        if kind in _queues:
            import_module(module)
    gc.freeze()
    gc.enable()
    kinds = [kind for kind in _WORK if kind in _queues]
    if kinds:
        import_module("worker.process.gpus").count_as_nvml()
        import_module("worker.lease.job_log").begin()
        # A worker of both kinds is listed as one that trains, as training takes longer.
        import_module("worker.process.presence").begin(kinds[0])


@worker_process_shutdown.connect
def _say_gone(**_: Any) -> None:
    if any(kind in _queues for kind in _WORK):
        import_module("worker.process.presence").end()


@worker_shutting_down.connect
def _drain(**_: Any) -> None:
    # SIGTERM's warm shutdown waits for the running task, and draining makes that wait short. With
    # REMAP_SIGTERM=SIGQUIT this signal would come only after Celery's soft shutdown has timed out.
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
    """Take jobs back from silent workers, and send hints for the waiting jobs."""
    from worker.reaping import reap_now

    # The queues are emptied before the waiting jobs are counted. So a hint for a job that comes
    # after the count is kept.
    _forget_messages()
    for kind, waiting in reap_now().items():
        for _ in range(waiting):
            hint(kind)


# The beat of an older version calls the task by this name.
app.task(reap.run, name="heddle.sweep")


def hint(kind: JobKind) -> None:
    """Send one worker a hint of work of a kind. If it gets lost, the reaper sends more."""
    try:
        app.send_task(f"heddle.{kind.value}", retry=False)
    except OperationalError as error:
        logger.warning("no hint sent: %s", error)


def _forget_messages() -> None:
    # Workers that are busy for days read no hints, and the reaper would add more for ever. The
    # calls of the reaper that have piled up are removed as well: this one serves for all of them.
    with app.connection_for_write() as connection:
        for queue in ("control", *JobKind):
            app.amqp.queues[str(queue)](connection.default_channel).purge()
