"""CPU seconds of scoring many trained runs: a process for each, or one worker for all.

Runs of a few steps are trained first. Then they are scored as a worker scores them: a job is
claimed, the data set opened, the network built from its weights, the codes that training has left
are read, scored and drawn, and all is recorded. The alternative is what a script for each model
does: a process that starts, imports everything, scores one run and ends. The processes take turns,
and each counts its CPU seconds from its start to its end, by part.

The last column is arithmetic and was not measured: the hours that scoring 12,600 runs would take on
16 cores if each run took what these took.

    OMP_NUM_THREADS=1 python -m benchmarks.evaluating [--runs 3] [--metrics mig,sap,dci] [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from benchmarks.record import Figure, Row, Table, parser, publish

MODELS, CORES = 12_600, 16
QUICK_ROWS = {"rows": 2000, "test_rows": 1000}
PARTS = {
    "open_data": "data set",
    "from_bytes": "network",
    "_kept_codes": "codes",
    "_has_rows": "draw of rows",
    "score_encoded": "metrics",
    "draw_pictures": "pictures",
}
"""What a job calls, and the part of its cost."""


def spec(runs: int, metrics: list[str], *, uncertainty: bool, quick: bool) -> dict[str, Any]:
    return {
        "dataset": "dsprites",
        "model": {"name": "burgess", "latent_dim": 10},
        "objective": {"name": "beta_vae", "beta": 4.0},
        "training": {"steps": 4},
        "evaluation": {
            "metrics": metrics,
            "uncertainty": uncertainty,
            **(QUICK_ROWS if quick else {}),
        },
        "sweep": {"seed": list(range(runs))},
    }


def train(document: dict[str, Any]) -> None:
    """Post the runs and train them all."""
    from api.submission.planning import plan
    from store.experiments.submit import submit
    from worker.process.stores import stores
    from worker.training import train_next

    database = stores().database
    experiment, runs, *_ = plan(database, document)
    submit(
        database,
        name=experiment.name,
        tags=[],
        notes=None,
        owner=None,
        spec=experiment.document,
        runs=runs,
    )
    while train_next():
        pass


def work(jobs: int) -> None:
    """Score so many runs in this process, and print its CPU seconds by part."""
    # All that Python took to start is part of the imports.
    spent: dict[str, float] = dict.fromkeys(["imports", *PARTS.values()], 0.0)
    import worker.evaluation as evaluation
    from ml.networks.model import Model

    def timed(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def within(*given: Any, **named: Any) -> Any:
            began = time.process_time()
            try:
                return call(*given, **named)
            finally:
                spent[name] += time.process_time() - began

        return within

    for name, part in PARTS.items():
        owner: Any = Model if name == "from_bytes" else evaluation
        setattr(owner, name, timed(part, getattr(owner, name)))
    spent["imports"] = time.process_time()
    for _ in range(jobs):
        if not evaluation.evaluate_next():
            sys.exit("no job waits")
    json.dump(spent | {"all": time.process_time()}, sys.stdout)


def in_a_process(*given: str) -> dict[str, float]:
    """The CPU seconds, by part, of a process of this script."""
    command = [sys.executable, "-m", "benchmarks.evaluating", *given]
    began = os.times()
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    ended = os.times()
    found: dict[str, float] = {}
    with suppress(ValueError):
        found = json.loads(said)
    # Ending takes time, too, which only the parent sees.
    found["all"] = sum(ended[2:4]) - sum(began[2:4])
    return found


def figures(several: list[dict[str, float]], runs: int) -> dict[str, Figure | str | None]:
    """Seconds of a run: of each part, of the rest, and of all together."""
    parts = ("imports", *PARTS.values())
    found: dict[str, Figure | str | None] = {
        part: Figure([sum(one[part] for one in several) / runs], "s", "less", places=2)
        for part in parts
    }
    every = sum(one["all"] for one in several) / runs
    rest = every - sum(one[part] for one in several for part in parts) / runs
    found["database, files, exit"] = Figure([rest], "s", "less", places=2)
    found["all"] = Figure([every], "s", "less", places=2)
    hours = every * MODELS / CORES / 3600
    found[f"{MODELS:,} runs on {CORES} cores"] = f"{hours:.1f} h (arithmetic)"
    return found


def compared(runs: int, metrics: list[str], *, uncertainty: bool, quick: bool) -> list[Row]:
    """A row for each way, of as many runs each."""
    with tempfile.TemporaryDirectory() as home:
        os.environ["HEDDLE_HOME"] = home
        os.environ["HEDDLE_TRAIN_THREADS"] = "1"
        subprocess.run(
            [sys.executable, "-m", "store.migrate"], check=True, stdout=subprocess.DEVNULL
        )
        document = spec(2 * runs, metrics, uncertainty=uncertainty, quick=quick)
        in_a_process("--train", json.dumps(document))
        each = [in_a_process("--work", "1") for _ in range(runs)]
        together = [in_a_process("--work", str(runs))]
    asked = ", ".join(metrics) + ("" if uncertainty else "; values alone")
    return [
        Row([asked, "a process for each run"], figures(each, runs)),
        Row([asked, f"one process for {runs} runs"], figures(together, runs)),
    ]


def main() -> None:
    arguments = parser(__doc__)
    arguments.formatter_class = argparse.RawDescriptionHelpFormatter
    arguments.add_argument("--runs", type=int, help="how many runs each way scores; by default 3")
    arguments.add_argument("--metrics", default="mig,sap,dci")
    arguments.add_argument("--train", type=json.loads, help=argparse.SUPPRESS)
    arguments.add_argument("--work", type=int, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.train:
        train(given.train)
    elif given.work:
        work(given.work)
    else:
        metrics = given.metrics.split(",")
        runs = max(2, given.runs or (2 if given.quick else 3))
        if given.quick:
            rows = compared(runs, ["mig", "sap"], uncertainty=False, quick=True)
        else:
            rows = [
                row
                for uncertainty in (True, False)
                for row in compared(runs, metrics, uncertainty=uncertainty, quick=False)
            ]
        command = "OMP_NUM_THREADS=1 python -m benchmarks.evaluating"
        command += " --quick" if given.quick else f" --runs {runs} --metrics {given.metrics}"
        publish([Table("evaluating", command, ["metrics", "way"], rows)], given)


if __name__ == "__main__":
    main()
