"""Collecting runs and files that nothing refers to, beside the reaper."""

from __future__ import annotations

import logging
import threading
import time

from store.files.dataset_folder import DatasetFolder
from store.files.upload_folder import UPLOADS, UploadFolder
from store.retention.collect import collect
from store.retention.collect_datasets import collect_datasets
from store.retention.grid_codes import drop_grid_codes
from worker.process.stores import Stores, stores

logger = logging.getLogger(__name__)

LEASES = 4
"""The least grace of a file, in leases. Before it is over, the worker that wrote the file has
recorded it or has lost its job."""

_LONGEST_IMPORT_SECONDS = 3600.0
"""The least grace of what is stored of a data set: a slow import may write nothing for long."""

_collecting: threading.Thread | None = None
_next = 0.0


def collect_when_due() -> threading.Thread | None:
    """Start a collection if one is due and none is running.

    It runs in a thread of its own, as a large folder takes longer than the reaper may wait.

    Returns:
        The thread, if a collection was started.
    """
    global _collecting, _next
    here = stores()
    going_on = _collecting is not None and _collecting.is_alive()
    if going_on or time.monotonic() < _next:
        return None
    _next = time.monotonic() + here.settings.collect_seconds
    # Nothing is lost if the process ends during a collection.
    _collecting = threading.Thread(target=_collect, args=[here], name="collect", daemon=True)
    _collecting.start()
    return _collecting


def _collect(here: Stores) -> None:
    try:
        if (days := here.settings.keep_grid_codes_days) is not None:
            dropped = drop_grid_codes(here.database, days=days)
            if dropped:
                logger.info("dropped the codes of all images of %d runs", dropped)
        found = collect(
            here.database,
            here.objects,
            here.checkpoints,
            grace_seconds=max(
                here.settings.collect_grace_seconds, LEASES * here.settings.lease_seconds
            ),
        )
        if found.runs or found.bytes:
            logger.info(
                "collected %d runs, %d checkpoints, %d objects, %d bytes",
                found.runs,
                found.checkpoints,
                found.objects,
                found.bytes,
            )
        datasets = collect_datasets(
            here.database,
            DatasetFolder.below(here.settings.data),
            grace_seconds=max(here.settings.collect_grace_seconds, _LONGEST_IMPORT_SECONDS),
        )
        uploads = UploadFolder(here.settings.data / UPLOADS).remove_old()
        if datasets or uploads:
            logger.info("collected %d uploaded data sets, %d files of uploads", datasets, uploads)
    except Exception:
        # The next collection goes on where this one stopped.
        logger.exception("the collection was broken off")
