"""The application: `uvicorn api.main:app`."""

from __future__ import annotations

import gc
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import torch
from anyio import CapacityLimiter
from fastapi import Depends, FastAPI

from api import errors
from api.context import Context
from api.event_hub import EventHub
from api.guard import LoopbackOnly, is_loopback
from api.hints import Hints
from api.openapi import PROBLEMS, SUMMARY, lift_definitions
from api.queries import only_known
from api.routes import (
    artifacts,
    catalog,
    evaluations,
    events,
    experiments,
    export,
    health,
    plots,
    queue,
    reports,
    runs,
    studies,
    uses,
    workers,
)
from api.settings import ApiSettings
from api.trained import TrainedModels
from store.database import Database
from store.objects import ObjectFolder
from store.settings import Settings, settings


def create_app(
    known: Settings, *, host: str = "127.0.0.1", limits: ApiSettings | None = None
) -> FastAPI:
    """The service on these stores; on a loopback host it answers to this machine alone.

    `limits` are the environment's by default.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # Training needs the cores more than whatever the service decodes.
        torch.set_num_threads(1)
        # What is imported stays: each search of it for garbage would hold an answer up by 0.2 s.
        gc.freeze()
        database, objects = Database(known.database_url), ObjectFolder(known.objects)
        app.state.context = Context(
            database,
            objects,
            Hints(known.broker_url),
            limits or ApiSettings(),
            known,
            hub=EventHub(database),
            trusts_users=is_loopback(host),
            checking=CapacityLimiter(1),
            trained=TrainedModels(database, objects),
        )
        yield
        database.dispose()
        gc.unfreeze()

    app = FastAPI(
        title="Heddle",
        version=version("heddle"),
        summary=SUMMARY,
        lifespan=lifespan,
        dependencies=[Depends(only_known)],
        responses=PROBLEMS,
    )
    for resource in (
        experiments,
        runs,
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
        health,
    ):
        app.include_router(resource.router)
    errors.install(app)
    if is_loopback(host):
        app.add_middleware(LoopbackOnly)
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        return lift_definitions(generate())

    app.openapi = openapi  # type: ignore[method-assign]
    return app


app = create_app(settings(), host=os.environ.get("HEDDLE_HOST", "127.0.0.1"))
