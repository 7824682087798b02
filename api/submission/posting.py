"""Requests that make an experiment, from a posted spec or from an earlier run or experiment."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, Query, Response
from fastapi.responses import JSONResponse

from api.answers.work import whole_experiment, written_experiment
from api.documents.experiments import Plan
from api.http.answer import json_answer
from api.state.context import Context, Here
from api.submission.dry_run import plan_document
from api.submission.headers import (
    PRECISION,
    REPLAYED,
    IdempotencyKey,
    Owner,
    idempotent_request,
)
from api.submission.planning import Planned
from store.experiments.dry_run import dry_run
from store.experiments.idempotency import IdempotentRequest
from store.experiments.submit import Submitted, submit, submitted_before
from store.workers.troubles import troubles

Force = Annotated[bool, Query(description="Train again, even where such a run exists.")]
Priority = Annotated[int, Query(ge=-10, le=10, description="Higher goes first; most work has 0.")]
DryRun = Annotated[bool, Query(description="Only show what would be done; nothing is written.")]


@dataclass(frozen=True)
class Posting:
    """What a request says beside its body."""

    here: Context
    owner: str
    priority: int
    dry_run: bool
    key: str | None
    force: bool = False

    def answer(self, asked: Any, planned: Callable[[], Planned]) -> Response:
        """Submit the request's work, or only answer with its plan in a dry run.

        Args:
            asked: what identifies the request among others with its key.
            planned: makes the work of the request, or raises its faults.
        """
        # A request without a priority has the hash that it had before there were priorities.
        options = {"force": self.force} | ({"priority": self.priority} if self.priority else {})
        request = None if self.key is None else idempotent_request(self.key, asked, **options)
        # This comes before planning: a run that a repeated request names may have been deleted
        # since, and planning a long sweep takes time.
        before = (
            None if request is None else submitted_before(self.here.database, self.owner, request)
        )
        if self.dry_run:
            return JSONResponse(self._plan(planned(), before).model_dump(mode="json"))
        reason = None
        if (posted := before) is None:
            work = planned()
            posted, reason = self._submit(work, request), work.precision
        self.here.hints.send()
        headers = {"Location": f"/v1/experiments/{posted.id}"}
        if reason is not None:
            headers[PRECISION] = reason
        if posted.replayed:
            headers[REPLAYED] = "true"
        document = (
            whole_experiment(self.here, posted.id)
            if posted.written is None
            else written_experiment(posted.written)
        )
        return json_answer(document, HTTPStatus.ACCEPTED, headers)

    def _submit(self, planned: Planned, request: IdempotentRequest | None) -> Submitted:
        experiment, runs, before, _ = planned
        return submit(
            self.here.database,
            name=experiment.name,
            tags=experiment.tags,
            notes=experiment.notes,
            owner=self.owner,
            spec=experiment.document,
            runs=runs,
            priority=self.priority,
            force=self.force,
            request=request,
            limits=self.here.limits,
            prefer=before,
        )

    def _plan(self, planned: Planned, made: Submitted | None) -> Plan:
        experiment, runs, before, precision = planned
        return plan_document(
            [run.spec for run in experiment.runs],
            runs,
            dry_run(
                self.here.database,
                runs,
                owner=self.owner,
                priority=self.priority,
                force=self.force and made is None,
                rules=self.here.store.rules,
                limits=self.here.limits,
                prefer=before,
            ),
            troubles(self.here.database),
            made=None if made is None else made.id,
            precision=precision,
        )


async def _posting(
    here: Here,
    owner: Owner,
    priority: Priority = 0,
    dry_run: DryRun = False,
    key: IdempotencyKey = None,
) -> AsyncIterator[Posting]:
    async with here.lanes.posting.place():
        yield Posting(here, owner, priority, dry_run, key)


#: For work that joins a run that exists. It takes a place in a lane, so it comes after the body
#: among a route's parameters. A client may be slow to send the body.
Joining = Annotated[Posting, Depends(_posting, scope="function")]


async def _maybe_forced(posting: Joining, force: Force = False) -> Posting:
    return replace(posting, force=force)


#: The same, with `force` to train again.
MaybeForced = Annotated[Posting, Depends(_maybe_forced)]
