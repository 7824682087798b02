"""Studies of experiments, read from the database."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from api.state.context import Context
from api.studies.reading import Reading
from ml.reproducibility.canonical_json import canonical_json
from ml.spec.run_spec import RunSpec
from ml.studies.study import SEED, RunResult, Study, study
from store import queries

A_PAGE = 500
"""The number of runs that one query reads."""


def study_of(here: Context, experiment_id: str) -> Study:
    """The study of an experiment's results so far.

    Raises:
        NotFound: there is no such experiment.
    """
    return _study(queries.study_results(here.database, experiment_id), with_betas=True)


def study_without_betas(here: Context, experiment_id: str) -> tuple[str, Study]:
    """The study of an experiment's results so far, and the digest of what it was made from.

    Betas take long for thousands of settings, and only plots need them.

    Raises:
        NotFound: there is no such experiment.
    """
    found = queries.study_results(here.database, experiment_id)
    return found.digest, _study(found, with_betas=False)


def _study(found: queries.StudyResults, *, with_betas: bool) -> Study:
    read = Reading()
    results = [_result(place, read, with_betas=with_betas) for place in found.places]
    return study(found.name or "", results)


def runs_of(here: Context, experiment_id: str) -> Iterator[queries.Run]:
    """Every run of an experiment, newest first."""
    cursor, asked = None, queries.RunFilters(experiment=experiment_id)
    while True:
        page = queries.runs(here.database, asked, limit=A_PAGE, cursor=cursor)
        yield from page.items
        cursor = page.next_cursor
        if cursor is None:
            return


def _result(place: queries.PlaceResult, read: Reading, *, with_betas: bool) -> RunResult:
    spec = read.spec(place.spec)
    beta, beta_norm = betas(spec) if with_betas else (None, None)
    return RunResult(
        run_id=place.run_id,
        state=place.state.value,
        train_id=place.train_id,
        spec=spec,
        swept=_ordered(place.swept),
        scores=read.scores(place.scores),
        final=place.final,
        error=str(place.error["message"]) if place.error else None,
        beta=beta,
        beta_norm=beta_norm,
        seed=place.seed,
    )


def _ordered(swept: Mapping[str, Any]) -> dict[str, Any]:
    """Swept values sorted by path, the seed last. PostgreSQL does not keep the order of keys."""
    return {path: _name_first(swept[path]) for path in _in_order(tuple(swept))}


@lru_cache(maxsize=1_000)
def _in_order(paths: tuple[str, ...]) -> list[str]:
    return sorted(paths, key=lambda path: (path == SEED, path))


def _name_first(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    items = sorted(value.items(), key=lambda item: (item[0] != "name", item[0]))
    return {key: _name_first(inner) for key, inner in items}


def betas(spec: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """beta, and beta x latents / pixels (Higgins et al., 2017), of a resolved spec.

    Both are None for an objective without a beta.
    """
    parts = {name: spec[name] for name in ("dataset", "model", "objective")}
    return _betas(canonical_json(parts))


@lru_cache(maxsize=10_000)
def _betas(parts: str) -> tuple[float | None, float | None]:
    try:
        spec = RunSpec.model_validate_json(parts)
        pixels = math.prod(spec.dataset.image_shape())
    except (OSError, ValueError):
        # A component of the spec is no longer installed, or the images of a table are gone.
        return None, None
    latents = spec.model.latent_dim
    beta = spec.objective.coefficients(pixels=pixels, latents=latents).get("beta")
    return beta, None if beta is None else beta * latents / pixels
