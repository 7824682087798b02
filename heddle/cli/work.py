"""What commands share: they find work by its id, show it, and follow it."""

from __future__ import annotations

import click
import httpx
from rich.console import Group, RenderableType
from rich.text import Text

from heddle.cli.output.live import LiveProgress
from heddle.cli.output.terminal import console, print_document
from heddle.cli.output.work import (
    attempt_table,
    dry_run_table,
    experiment_table,
    run_table,
    score_table,
)
from heddle.client.client import Client
from heddle.client.resources import Evaluation, Experiment, ExperimentFailed, Run


def show_dry_run(answer: httpx.Response, as_json: bool) -> None:
    print_document(answer.content, as_json, lambda: dry_run_table(answer.json()))


def watch_until_ended(client: Client, experiment: Experiment, as_json: bool) -> None:
    try:
        if as_json:
            experiment.wait()
        else:
            with LiveProgress(client, console()) as live:
                experiment.wait(progress=live)
    except KeyboardInterrupt:
        click.echo(f"{experiment.id} goes on; heddle watch {experiment.id} follows it.", err=True)
        raise
    except ExperimentFailed:
        if as_json:
            click.echo(experiment.served)
        raise
    if as_json:
        click.echo(experiment.served)
    else:
        click.echo(f"{experiment.id} succeeded")


def show_work(client: Client, work: Experiment | Run | Evaluation, as_json: bool) -> None:
    print_document(work.served, as_json, lambda: _drawn(client, work))


def _drawn(client: Client, work: Experiment | Run | Evaluation) -> RenderableType:
    if isinstance(work, Run):
        return Group(run_table(work), *attempt_table(work))
    if isinstance(work, Evaluation):
        line = Text(f"{work.id}  {work.state}  {work.reason}".strip())
        scored = work.state == "succeeded"
        return Group(line, score_table("", work.scores())) if scored else line
    failed: dict[str, Run] = {}
    if any(run.state == "failed" for run in work.runs()):
        items = client.iterate("/v1/runs", experiment=work.id, state="failed")
        failed = {item["id"]: Run(client, item) for item in items}
    return experiment_table(work, failed)


def kind_of(work_id: str, expected: str = "experiment, run or evaluation") -> str:
    kinds = {"exp": "experiment", "run": "run", "eval": "evaluation"}
    kind = kinds.get(work_id.partition("_")[0])
    if kind is None or kind not in expected:
        known = " or ".join(f"{p}_…" for p, name in kinds.items() if name in expected)
        raise click.UsageError(f"Got the id {work_id!r}, expected {known}")
    return kind


def find_work(client: Client, work_id: str) -> Experiment | Run | Evaluation:
    kind = kind_of(work_id)
    if kind == "run":
        return client.run(work_id)
    return client.experiment(work_id) if kind == "experiment" else client.evaluation(work_id)


def find_trained(client: Client, work_id: str) -> Experiment | Run:
    if kind_of(work_id, "experiment or run") == "run":
        return client.run(work_id)
    return client.experiment(work_id)


def find_runs(client: Client, work_id: str) -> list[Run]:
    if kind_of(work_id, "experiment or run") == "run":
        return [client.run(work_id)]
    return client.experiment(work_id).runs()
