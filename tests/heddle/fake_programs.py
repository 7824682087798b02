"""Small programs in place of the API, the worker and the store, and a look at what runs."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE = 120.0
"""Seconds for what takes a few on a quiet machine."""

MIGRATE = """
import os
from pathlib import Path
(Path(os.environ["HEDDLE_HOME"]) / "migrated").touch()
"""

API = """
import json, os
RUN = {"id": "run_a", "index": 0, "swept": {}, "state": os.environ.get("FAKE", "succeeded")}
EXPERIMENT = {"id": "exp_01", "state": RUN["state"], "runs": [RUN]}
SCORE = {"metric": "mig", "name": "mig", "value": 0.125}
ANSWERS = {
    "/v1/experiments": EXPERIMENT,
    "/v1/experiments/exp_01": EXPERIMENT,
    "/v1/runs": {"items": [RUN], "next_cursor": None},
    "/v1/runs/run_a/scores": {"items": [SCORE], "next_cursor": None},
    "/v1/runs/run_a/traversal.png": "a picture",
    "/readyz": {name: os.environ[name] for name in os.environ if "HEDDLE" in name or "OMP" in name},
}
async def app(scope, receive, send):
    if scope["type"] == "http":
        body = json.dumps(ANSWERS[scope["path"]]).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})
"""

SERVE = """
import argparse, os, uvicorn
parser = argparse.ArgumentParser()
parser.add_argument("--host")
parser.add_argument("--port", type=int)
parser.add_argument("--processes", type=int)
given = parser.parse_args()
os.environ["HEDDLE_API_PROCESSES"] = str(given.processes)
uvicorn.run("api.main:app", host=given.host, port=given.port)
"""

WORKER = """
import os
from pathlib import Path
from celery import Celery
app = Celery(broker=os.environ["HEDDLE_BROKER_URL"])
app.conf.update(
    worker_disable_prefetch=True,
    broker_connection_retry_on_startup=True,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    beat_scheduler="celery.beat:Scheduler",
    beat_schedule={"tick": {"task": "tick", "schedule": 0.5, "options": {"queue": "control"}}},
)

@app.task(name="tick", ignore_result=True)
def tick():
    with open(Path(os.environ["HEDDLE_HOME"]) / "ticks", "a") as file:
        file.write("tick\\n")
"""


def write_programs(folder: Path) -> None:
    """Make a folder in which, as the working directory, these are the api, worker and store."""
    programs = {
        "store/migrate": MIGRATE,
        "api/main": API,
        "api/__main__": SERVE,
        "worker/app": WORKER,
    }
    for name, text in programs.items():
        path = folder / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text(text)


def clean_environment(**more: str) -> dict[str, str]:
    """The environment without a service of somebody else's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEDDLE_")}
    return kept | more


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def processes(home: Path) -> dict[int, str]:
    """The command lines of all that serves a home, what was forked included."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            command = content(entry / "cmdline").replace(b"\0", b" ").decode()
            # redis writes its title, which has its socket's path, over its environment
            ours = f"{home}/" in command
            if ours or f"HEDDLE_HOME={home}\0".encode() in content(entry / "environ"):
                found[int(entry.name)] = command
    return found


def content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def until(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "did not come true in time"
        time.sleep(0.05)
