from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

SHOW = """
import json, sys
import worker.app
names = %r
app = worker.app.app
print(json.dumps({
    "modules": sorted({name.partition(".")[0] for name in sys.modules}),
    "settings": {name: app.conf[name] for name in names},
    "queues": {task: app.amqp.router.route({}, task)["queue"].name for task in app.tasks
               if task.startswith("heddle.")},
    "beat": [entry["task"] for entry in app.conf.beat_schedule.values()],
}))
"""

# What DESIGN.md, section 4, says of the broker: hints only.
SETTINGS = {
    "task_acks_late": False,
    "worker_disable_prefetch": True,
    "worker_prefetch_multiplier": 0,
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "worker_enable_remote_control": False,
    "task_ignore_result": True,
    "result_backend": None,
    "task_serializer": "json",
    "accept_content": ["json"],
}

WAITING = """
import json
from store.states import JobKind
import worker.reaping
from worker.app import app, hint, reap

def reap_now():
    hint(JobKind.EVALUATE)
    return {JobKind.TRAIN: 16, JobKind.EVALUATE: 0}

worker.reaping.reap_now = reap_now
hint(JobKind.EVALUATE)
reap.delay()
for name in 10 * ["heddle.reap", "heddle.sweep"]:
    app.tasks[name]()
with app.connection_for_read() as connection:
    channel = connection.default_channel
    print(json.dumps({queue: channel._size(queue) for queue in ("train", "evaluate", "control")}))
"""

REFUSED = """
import json
import store.database.connection
from celery.signals import celeryd_init
from store.database.mounts import Mount
store.database.connection.mounts = lambda: [Mount("/", "nfs4")]
import worker.app
try:
    celeryd_init.send(sender="train@here")
    print(json.dumps("started"))
except SystemExit as ended:
    print(json.dumps(ended.code))
"""

SET_BACK = """
import json, os
from celery.beat import Service
import time_machine
from worker.app import app

def started():
    file, kind = os.environ["HEDDLE_HOME"] + "/beat-schedule", app.conf.beat_scheduler
    return Service(app, schedule_filename=file, scheduler_cls=kind).scheduler

def seconds_to_the_next(beat):
    while not (seconds := beat.tick()):
        pass
    return seconds

with time_machine.travel("2030-01-01T12:00+00:00") as clock:
    beat = started()
    seconds_to_the_next(beat)
    clock.shift(-3600)
    seconds = [seconds_to_the_next(beat)]
    beat.close()
    seconds += [seconds_to_the_next(started())]
with app.connection_for_read() as connection:
    print(json.dumps({"seconds": seconds, "sent": connection.default_channel._size("control")}))
"""


def told_by(program: str, home: Path) -> Any:
    """What a program prints as JSON, run with a home and an in-memory broker."""
    environment = {name: os.environ[name] for name in os.environ if not name.startswith("HEDDLE_")}
    environment |= {"HEDDLE_HOME": str(home), "HEDDLE_BROKER_URL": "memory://"}
    told = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        stdout=subprocess.PIPE,
        check=True,
        timeout=120,
    )
    return json.loads(told.stdout)


def test_the_application_is_light_and_treats_messages_as_hints(tmp_path: Path) -> None:
    told = told_by(SHOW % list(SETTINGS), tmp_path)
    # A process that has used torch cannot fork children that do.
    assert not {"torch", "ml", "numpy"} & set(told["modules"])
    assert told["settings"] == SETTINGS
    assert told["queues"] == {
        "heddle.train": "train",
        "heddle.evaluate": "evaluate",
        "heddle.reap": "control",
        # As a beat of an older version calls it.
        "heddle.sweep": "control",
    }
    assert told["beat"] == ["heddle.reap"]


def test_messages_do_not_pile_up_while_every_worker_is_busy(tmp_path: Path) -> None:
    # The one for evaluation was sent while the reaper looked last, and may be for what it missed.
    assert told_by(WAITING, tmp_path) == {"train": 16, "evaluate": 1, "control": 0}


def test_a_worker_does_not_start_on_a_database_that_is_refused(tmp_path: Path) -> None:
    assert "nfs4" in told_by(REFUSED, tmp_path)


def test_a_clock_set_back_an_hour_does_not_silence_the_beat(tmp_path: Path) -> None:
    told = told_by(SET_BACK, tmp_path)
    assert all(0 < seconds <= 5 for seconds in told["seconds"])
    # Each start asks for one at once.
    assert told["sent"] == 2
