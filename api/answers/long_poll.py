"""Long polls (`?wait=`): an answer that comes when the work has ended or the time is over."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query

from api.state.context import Context, Here
from store.queries.under_way import Work

Wait = Annotated[
    float | None,
    Query(
        gt=0,
        le=60,
        description="Answer when the work has ended, at the latest after these seconds.",
    ),
]


async def _until_ended(here: Context, work: Work, id: str, wait: float | None) -> None:
    if wait is not None:
        with here.held.place():
            await here.hub.ended(work, id, wait)


async def _run(id: str, here: Here, wait: Wait = None) -> None:
    await _until_ended(here, Work.RUN, id, wait)


async def _experiment(id: str, here: Here, wait: Wait = None) -> None:
    await _until_ended(here, Work.EXPERIMENT, id, wait)


async def _evaluation(id: str, here: Here, wait: Wait = None) -> None:
    await _until_ended(here, Work.EVALUATION, id, wait)


# The waiting is done in dependencies, so that it holds no thread of the routes.
until_run_ended = Depends(_run)
until_experiment_ended = Depends(_experiment)
until_evaluation_ended = Depends(_evaluation)
