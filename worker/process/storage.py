"""Claiming, unless the folders fail that would keep what the work leaves, or the GPU is taken."""

from __future__ import annotations

import logging
import socket

from store.database.outages import DATABASE_OUTAGE
from store.errors import StorageTrouble
from store.files.folders import check_mark
from store.jobs.claim import Claim, claim
from store.states import JobKind
from store.workers.presence import processes_on
from store.workers.troubles import end_trouble, tell_trouble
from worker.process import gpus
from worker.process.settings import worker_settings
from worker.process.stores import Stores, worker_name

logger = logging.getLogger(__name__)

_told: dict[JobKind, str] = {}


def claim_if_able(here: Stores, kind: JobKind, *, device_model: str | None = None) -> list[Claim]:
    """Take the job whose turn it is; none while the folders or the database fail.

    Why none is taken is logged when it begins and ends, and told to who waits for such work.
    """
    try:
        if not _able(here, kind):
            return []
        return claim(
            here.database,
            kind,
            worker=worker_name(),
            lease_seconds=here.settings.lease_seconds,
            device_model=device_model,
            rules=here.settings.rules,
        )
    except DATABASE_OUTAGE as error:
        logger.warning("no %s job is taken, as the database is away: %s", kind, error)
        return []


def _able(here: Stores, kind: JobKind) -> bool:
    trouble = _trouble(here) or _device_trouble(here, kind)
    if trouble is not None:
        if _told.get(kind) != trouble:
            logger.error("no %s jobs are taken: %s", kind, trouble)
        _told[kind] = trouble
        tell_trouble(here.database, worker_name(), kind, trouble)
    elif kind in _told:
        end_trouble(here.database, worker_name())
        del _told[kind]
        logger.warning("%s jobs are taken again", kind)
    return trouble is None


def _device_trouble(here: Stores, kind: JobKind) -> str | None:
    """Whose the GPU is, if it is somebody else's at the moment."""
    if kind is not JobKind.TRAIN or worker_settings().foreign == "ignore":
        return None
    gpu = gpus.gpu()
    if gpu is None or not gpus.knows_processes():
        return None
    own = gpus.relatives() | processes_on(here.database, socket.gethostname())
    return gpus.foreign_use(gpu, own)


def _trouble(here: Stores) -> str | None:
    """Why one of the folders takes no files; None if both do."""
    try:
        for folder in (here.checkpoints, here.objects):
            check_mark(here.database, folder)
            folder.check_writable()
    except StorageTrouble as error:
        return str(error)
    return None
