"""The same jobs as Celery's textbook has them: the message is the job, acknowledged at its end.

For comparison only: `./run chaos --textbook`. A job that is lost is lost, one that is delivered
twice is done twice, and one that is delivered again starts over.
"""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any

from celery import Celery

app = Celery("textbook", broker=os.environ.get("HEDDLE_BROKER_URL"))
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    task_serializer="json",
    accept_content=["json"],
    worker_prefetch_multiplier=1,
    task_routes={"textbook.train": {"queue": "train"}, "textbook.evaluate*": {"queue": "evaluate"}},
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
)


@app.task(name="textbook.train")
def train_run(spec: dict[str, Any], name: str, again: bool) -> None:
    import torch

    from ml import train
    from ml.recorder import Progress, Silent, Wish
    from tests.chaos.counter import counter

    torch.set_num_threads(1)
    count = counter()

    class Counting(Silent):
        def progress(self, progress: Progress) -> Wish:
            if progress.stage == "training":
                count()
            return Wish.CONTINUE

    model = train(spec, Counting())
    _results().joinpath(f"{name}.model").write_bytes(model.to_bytes())
    _done(f"{name} trained")
    app.send_task("textbook.evaluate", [name])
    if again:
        app.send_task("textbook.evaluate", [name, True])


@app.task(name="textbook.evaluate")
def evaluate_run(name: str, again: bool = False) -> None:
    from ml import evaluate
    from ml.networks.model import Model
    from ml.spec.parts import Evaluation
    from tests.chaos.work import AGAIN

    model = Model.from_bytes(_results().joinpath(f"{name}.model").read_bytes())
    evaluation = Evaluation.model_validate(AGAIN) if again else model.spec.evaluation
    evaluate(
        model,
        model.spec.dataset.open(),
        evaluation.metrics,
        rows=evaluation.rows,
        test_rows=evaluation.test_rows,
    )
    _done(f"{name} evaluated again" if again else f"{name} evaluated")


@app.task(name="textbook.evaluate_file")
def evaluate_file(path: str, name: str) -> None:
    from ml.codes.arrays_file import read_arrays
    from ml.evaluation.evaluate import score_rows
    from ml.spec.evaluation_spec import FileEvaluation
    from tests.chaos.work import OF_FILE

    spec = FileEvaluation.parse(OF_FILE)
    with Path(path).open("rb") as file:
        rows = spec.rows(read_arrays(file, most_bytes=1 << 30, **spec.reading()))
    score_rows(rows, spec.metrics)
    _done(f"{name} evaluated")


def _results() -> Path:
    return Path(os.environ["HEDDLE_HOME"]) / "results"


def _done(job: str) -> None:
    """Leave word; one that is done twice leaves it twice."""
    _results().joinpath(f"{job}.{uuid.uuid4()}").touch()
