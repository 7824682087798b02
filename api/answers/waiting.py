"""The reasons why work waits, its places in the queue, and its expected starts."""

from __future__ import annotations

from collections.abc import Mapping

from api.documents.runs import Waiting
from api.state.context import Context
from api.state.queues import Standing
from store import queries
from store.scheduling.queue import Place, Queue
from store.states import JobKind, RunState


def waiting(
    here: Context, run: queries.Run, troubles: Mapping[JobKind, str], *, listed: bool = False
) -> Waiting | None:
    """Why a run waits. None when a worker has it, or when nothing is left to do.

    A run that is `listed` among others may be missing from the cached queue, if it was posted after
    the queue was read.
    """
    if run.state not in (RunState.QUEUED, RunState.EVALUATING):
        return None
    kind = JobKind.TRAIN if run.state is RunState.QUEUED else JobKind.EVALUATE
    found = here.queues.of(kind, with_run=None if listed else run.id)
    place = found.queue.of_run.get(run.id)
    if place is not None:
        return Waiting(
            reason=reason(place, found, troubles),
            position=place.position,
            starts_in_seconds=place.starts_in,
        )
    if kind is JobKind.EVALUATE:
        return None
    return Waiting(
        reason="waits for a training worker, or is being taken by one",
        position=None,
        starts_in_seconds=None,
    )


def reason(place: Place, found: Standing, troubles: Mapping[JobKind, str]) -> str:
    """Why a job waits, in a sentence."""
    return "; ".join([_lack(place.kind, found.queue, troubles), *_before(place, found)])


def _lack(kind: JobKind, found: Queue, troubles: Mapping[JobKind, str]) -> str:
    doing = "training" if kind is JobKind.TRAIN else "evaluating"
    trouble = troubles.get(kind)
    if trouble is not None:
        # The trouble becomes part of a sentence, so it begins in lower case, but for abbreviations.
        first = trouble[:1] if trouble[1:2].isupper() else trouble[:1].lower()
        return f"waits: {first}{trouble[1:].removesuffix('.')}"
    if not found.workers:
        return f"waits: no {doing} worker is there"
    return f"waits for a free {doing} worker"


def _before(place: Place, found: Standing) -> list[str]:
    """How many jobs go before this one, and why they do."""
    if place.position == 1:
        return ["it is next"]
    parts = [f"{place.position - 1} before it in the queue"]
    higher = found.higher(place)
    if higher:
        parts.append(f"{higher} of them of a higher priority")
    less = found.less_served(place)
    if less:
        parts.append(f"{_names(less)} had less of the workers lately")
    if any(one.full for one in found.queue.owners if one.owner == place.owner):
        parts.append(f"{place.owner} has as many runs under way as one may have")
    return parts


def _names(owners: list[str]) -> str:
    return owners[0] if len(owners) == 1 else f"{len(owners)} of their owners"
