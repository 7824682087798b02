"""`?wait=`: an answer that comes when the work has ended, or when the time is over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated

from anyio import to_thread
from fastapi import Depends, Query

from api.context import Context, Here
from store import queries
from store.states import EVALUATION_LIVE, RUN_LIVE, ExperimentState

LOOK_SECONDS = 1.0
"""What has no events, as evaluations of files, is looked at so often."""

Wait = Annotated[
    float | None,
    Query(
        gt=0,
        le=60,
        description="Answer when it has ended, or after so many seconds with how it stands then.",
    ),
]


async def _until(here: Context, seconds: float | None, ended: Callable[[], bool]) -> None:
    if seconds is None:
        return
    loop = asyncio.get_running_loop()
    give_up = loop.time() + seconds
    while True:
        after = await to_thread.run_sync(queries.last_position, here.database)
        if await to_thread.run_sync(ended) or loop.time() >= give_up:
            return
        await here.hub.wait(after, min(LOOK_SECONDS, give_up - loop.time()))


async def _run(id: str, here: Here, wait: Wait = None) -> None:
    await _until(here, wait, lambda: queries.run(here.database, id).state not in RUN_LIVE)


async def _experiment(id: str, here: Here, wait: Wait = None) -> None:
    live = (ExperimentState.QUEUED, ExperimentState.RUNNING)
    await _until(here, wait, lambda: queries.experiment(here.database, id).state not in live)


async def _evaluation(id: str, here: Here, wait: Wait = None) -> None:
    await _until(
        here, wait, lambda: queries.evaluation(here.database, id).state not in EVALUATION_LIVE
    )


# Dependencies, so that no thread of the routes is held meanwhile.
until_run_ended = Depends(_run)
until_experiment_ended = Depends(_experiment)
until_evaluation_ended = Depends(_evaluation)
