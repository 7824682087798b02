"""Claiming jobs, unless the folders for their files fail or the GPU is in use by others."""

from __future__ import annotations

import logging

from store.database.outages import DATABASE_OUTAGE
from store.errors import StorageTrouble
from store.files.folders import check_mark
from store.jobs.claim import Claim, claim
from store.states import JobKind
from store.workers.presence import processes_on
from store.workers.troubles import end_trouble, record_trouble
from worker.process import gpus
from worker.process.settings import worker_settings
from worker.process.stores import Stores, host_name, worker_name

logger = logging.getLogger(__name__)

#: The trouble that was logged last and has not ended, by kind.
_logged: dict[JobKind, str] = {}


def claim_if_able(here: Stores, kind: JobKind, *, device_model: str | None = None) -> list[Claim]:
    """Take the job whose turn it is. None is taken while a folder, the database or the GPU fails.

    The reason is logged when the trouble begins and when it ends, and recorded for everybody who
    waits for such work.
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
    trouble = _trouble(here) or device_trouble(here, kind)
    if trouble is not None:
        if _logged.get(kind) != trouble:
            logger.error("no %s jobs are taken: %s", kind, trouble)
        _logged[kind] = trouble
        record_trouble(here.database, worker_name(), kind, trouble)
    elif kind in _logged:
        end_trouble(here.database, worker_name())
        del _logged[kind]
        logger.warning("%s jobs are taken again", kind)
    return trouble is None


def device_trouble(here: Stores, kind: JobKind) -> str | None:
    """Who uses the GPU, if it is somebody else."""
    if kind is not JobKind.TRAIN or worker_settings().foreign == "ignore":
        return None
    gpu = gpus.gpu()
    if gpu is None or not gpus.knows_processes():
        return None
    own = gpus.relatives() | processes_on(here.database, host_name())
    return gpus.foreign_use(gpu, own)


def _trouble(here: Stores) -> str | None:
    """Why a folder takes no files; None if both folders take them."""
    try:
        for folder in (here.checkpoints, here.objects):
            check_mark(here.database, folder)
            folder.check_writable()
    except StorageTrouble as error:
        return str(error)
    return None
