"""The progress of an experiment: bars on a terminal, lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from itertools import islice
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.text import Text

from heddle.client.client import Client
from heddle.client.resources import ENDED, Experiment, Run

MOST_BARS = 16
SECONDS_BETWEEN_LINES = 10.0


class LiveProgress:
    """Shows each running run's stage, step, loss, speed and time left. Call it at every look.

        with LiveProgress(client, console) as live:
            experiment.wait(progress=live)

    Each run that ends gets a line, which stays above the bars.
    """

    def __init__(self, client: Client, console: Console) -> None:
        self._client = client
        self._console = console
        self._bars = _bars(console) if console.is_terminal else None
        self._tasks: dict[str, TaskID] = {}
        self._states: dict[str, str] = {}
        self._lines: dict[str, tuple[str, float]] = {}

    def __enter__(self) -> Self:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bars is not None:
            for task in self._tasks.values():
                self._bars.remove_task(task)
            self._bars.stop()

    def __call__(self, experiment: Experiment) -> None:
        runs = {run.id: run for run in experiment.runs()}
        under_way = [run for run in runs.values() if run.state in ("training", "evaluating")]
        self._show(self._with_progress(experiment, runs) if under_way else {})
        for run in runs.values():
            if run.state in ENDED and self._states.get(run.id) != run.state:
                reused = " (reused)" if run.document.get("reused") else ""
                self._console.print(Text(f"{run.label} {run.state}{reused}"))
            self._states[run.id] = run.state

    def _with_progress(self, experiment: Experiment, runs: Mapping[str, Run]) -> dict[str, Run]:
        found: dict[str, Run] = {}
        for state in ("training", "evaluating"):
            # Only these two states have progress. A list has it for all runs in one answer.
            items = self._client.iterate(
                "/v1/runs", experiment=experiment.id, state=state, limit=MOST_BARS
            )
            for item in islice(items, MOST_BARS - len(found)):
                known = runs[item["id"]].document if item["id"] in runs else {}
                found[item["id"]] = Run(self._client, known | item)
        return found

    def _show(self, running: Mapping[str, Run]) -> None:
        if self._bars is None:
            for run in running.values():
                self._line(run)
            return
        for gone in self._tasks.keys() - running.keys():
            self._bars.remove_task(self._tasks.pop(gone))
        for run in running.values():
            if run.id not in self._tasks:
                self._tasks[run.id] = self._bars.add_task(_short(run), total=None, line="")
            progress = run.document.get("progress") or {}
            self._bars.update(
                self._tasks[run.id],
                total=progress.get("steps"),
                completed=progress.get("step") or 0,
                line=progress_line(run.state, progress),
            )

    def _line(self, run: Run) -> None:
        progress = run.document.get("progress") or {}
        stage = f"{progress.get('stage') or run.state} {progress.get('trouble')}"
        said, when = self._lines.get(run.id, ("", 0.0))
        if stage != said or time.monotonic() > when + SECONDS_BETWEEN_LINES:
            self._lines[run.id] = (stage, time.monotonic())
            self._console.print(Text(f"{run.label} {progress_line(run.state, progress)}"))


def progress_line(state: str, progress: Mapping[str, Any]) -> str:
    """A run's progress in a line: `training 1200/1800, loss 82.1, 650 images/s, 0:01:02 left`."""
    parts = [str(progress.get("stage") or state)]
    if progress.get("step") is not None and progress.get("steps"):
        parts[0] += f" {progress['step']}/{progress['steps']}"
    if progress.get("loss") is not None:
        parts.append(f"loss {progress['loss']:.4g}")
    if progress.get("images_per_second"):
        parts.append(f"{progress['images_per_second']:.0f} images/s")
    if progress.get("eta_seconds") is not None:
        parts.append(f"{_duration(progress['eta_seconds'])} left")
    if progress.get("trouble"):
        parts.append(f"trouble: {progress['trouble']}")
    return ", ".join(parts)


def _short(run: Run) -> str:
    """What distinguishes a run, in few letters, as a terminal has eighty columns."""
    return ", ".join(f"{path}={value}" for path, value in run.swept.items()) or run.id[-6:]


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"


def _bars(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=10),
        TextColumn("{task.fields[line]}", markup=False),
        console=console,
        transient=True,
    )
