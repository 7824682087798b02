"""Unsupervised Disentanglement Ranking (UDR) of a study: how alike each setting's models are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from api.state.context import Context
from api.state.lru import LruCache
from ml.evaluation.encode import EncodedRows
from ml.studies.study import Study
from ml.studies.udr import RunUdr, UdrModel, udr
from store import queries
from store.errors import NotFound, ObjectGone
from store.files.artifact_names import CODES

ROWS = 1_000
MOST_RUNS = 200
MOST_MODELS = 50
"""The most models of one setting that are compared, as in Duan et al."""
MOST_KNOWN = 1_000
"""The most settings whose values are cached."""

Values = list[RunUdr | None]


_known: LruCache[tuple[str, ...], Values] = LruCache(MOST_KNOWN)
"""Values of settings by their codes' digests, which determine them."""


def few_enough(experiment: queries.Experiment) -> bool:
    """Whether UDR is worked out for an experiment of so many runs."""
    return sum(experiment.counts.values()) <= MOST_RUNS


def udr_of(here: Context, study: Study) -> tuple[dict[str, RunUdr] | None, str | None]:
    """UDR and active latents by run id, within each setting, or the reason why there are none.

    Raises:
        DamagedObject: a file of codes has been damaged.
        StorageAway: the object folder is away.
    """
    if len(study.runs) > MOST_RUNS:
        return None, f"it is worked out for at most {MOST_RUNS} runs, and these are more."
    found: dict[str, RunUdr] = {}
    for runs in study.settings.values():
        # A run that a sweep has twice is one model.
        codes = {
            run.run_id: digest for run in runs if (digest := _codes(here, run.run_id)) is not None
        }
        chosen = dict(list(codes.items())[:MOST_MODELS])
        if len(chosen) > 1:
            values = _udr(here, tuple(chosen.values()))
            found |= {
                run_id: value
                for run_id, value in zip(chosen, values, strict=True)
                if value is not None
            }
    if not found:
        return None, (
            "it compares models that differ in the seed alone, and no setting has two that are"
            " trained and were encoded on the same images."
        )
    return found, None


def _codes(here: Context, run_id: str) -> str | None:
    try:
        return queries.artifact(here.database, run_id, CODES).sha256
    except NotFound:
        return None


def _udr(here: Context, digests: tuple[str, ...]) -> Values:
    known = _known.get(digests)
    if known is not None:
        return known
    read = [_read(here, digest) for digest in digests]
    alike = _same_images([one.index if one is not None else None for one in read])
    models = [
        UdrModel(one.mean[:ROWS], one.kl[:ROWS])
        for one, same in zip(read, alike, strict=True)
        if one is not None and same
    ]
    found = (
        None if value is None else RunUdr(value, int(model.active.sum()))
        for model, value in zip(models, udr(models), strict=True)
    )
    values = [next(found) if same else None for same in alike]
    if all(one is not None for one in read):
        # With a missing file nothing is cached: the file may come back.
        _known.keep(digests, values)
    return values


def _same_images(indices: Sequence[np.ndarray | None]) -> list[bool]:
    """For each model, whether it was encoded on the images that most models were encoded on."""
    keys = [None if index is None else index[:ROWS].tobytes() for index in indices]
    there = [key for key in keys if key is not None]
    commonest = max(there, key=there.count, default=None)
    return [key is not None and key == commonest for key in keys]


def _read(here: Context, sha256: str) -> EncodedRows | None:
    """The rows in a file. None where it is gone, or lacks an array that such files have now."""
    try:
        return EncodedRows.from_npz(here.read(sha256))
    except (KeyError, ObjectGone):
        return None
