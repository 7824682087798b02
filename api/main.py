"""The application. `python -m api` serves it with a log and a limit on its connections."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from typing import Any

import torch
from fastapi import Depends, FastAPI

from api import errors
from api.http.query import only_known
from api.openapi import PROBLEMS, SUMMARY, lift_definitions
from api.routes import (
    artifacts,
    catalog,
    datasets,
    docs,
    evaluations,
    events,
    experiments,
    export,
    health,
    plots,
    presets,
    queue,
    reports,
    runs,
    studies,
    uploads,
    uses,
    workers,
)
from api.server.connections import OutOfFiles
from api.server.edge import Edge
from api.server.guard import LoopbackOnly, is_loopback
from api.server.open_files import most_held
from api.server.processes import locks, of_several, share
from api.server.unread import UnreadBodies
from api.state.context import Context
from api.state.event_hub import EventHub
from api.state.held_open import Held
from api.state.hints import Hints
from api.state.lanes import lanes
from api.state.queues import Queues
from api.state.readiness import LastLook, keep_seconds, look
from api.state.settings import ApiSettings
from api.state.trained import TrainedModels
from store.database.connection import MOST_CONNECTIONS, Database
from store.files.objects import ObjectFolder
from store.settings import Settings, settings


def create_app(
    known: Settings, *, host: str = "127.0.0.1", limits: ApiSettings | None = None
) -> FastAPI:
    """The service on these stores. On a loopback host it answers only requests of this machine.

    By default `limits` come from the environment.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # Training needs the cores more than the service's decoding does.
        torch.set_num_threads(1)
        # Imported objects are never garbage. Each search through them would delay an answer by
        # 0.2 s.
        gc.freeze()
        gc.enable()
        asyncio.get_running_loop().set_exception_handler(OutOfFiles())
        database = Database(known.database_url, connections=share(MOST_CONNECTIONS))
        objects = ObjectFolder(known.objects)
        hints, chosen = Hints(known.broker_url), limits or ApiSettings()
        app.state.context = Context(
            database,
            objects,
            hints,
            chosen,
            known,
            hub=EventHub(database),
            trusts_users=is_loopback(host),
            trained=TrainedModels(database, objects),
            held=Held(min(share(chosen.most_streams), most_held())),
            queues=Queues(database, known),
            readiness=LastLook(partial(look, database, hints, objects), keep_seconds),
            lanes=lanes(of_several(), locks()),
        )
        yield
        database.dispose()
        gc.unfreeze()

    app = FastAPI(
        title="Heddle",
        version=version("heddle"),
        summary=SUMMARY,
        lifespan=lifespan,
        # FastAPI's own pages load scripts of other hosts. `api.routes.docs` serves our page and the
        # OpenAPI document.
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        dependencies=[Depends(only_known)],
        responses=PROBLEMS,
    )
    # The documentation lists them in this order.
    for resource in (
        experiments,
        runs,
        datasets,
        uploads,
        plots,
        studies,
        reports,
        export,
        uses,
        evaluations,
        queue,
        workers,
        events,
        artifacts,
        catalog,
        presets,
        health,
        docs,
    ):
        app.include_router(resource.router)
    errors.install(app)
    if is_loopback(host):
        app.add_middleware(LoopbackOnly)
    # A request meets the middleware that was added last first.
    app.add_middleware(UnreadBodies)
    app.add_middleware(Edge)
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        return lift_definitions(generate())

    app.openapi = openapi  # type: ignore[method-assign]
    return app


app = create_app(settings(), host=os.environ.get("HEDDLE_HOST", "127.0.0.1"))
