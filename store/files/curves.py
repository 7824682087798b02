"""Training curves: rows while a run is in training, and a single file after that."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Mapping

from sqlalchemy import select

from store.database import tables
from store.database.connection import Database
from store.errors import NotFound
from store.files.artifact_names import CURVES
from store.files.objects import ObjectFolder, open_recorded

#: {tag: [(step, value), …]} in rising order of steps. None stands for a value that is not finite.
Curves = dict[str, list[tuple[int, float | None]]]


def curves(
    database: Database, objects: ObjectFolder, run_id: str, tags: Collection[str] | None = None
) -> Curves:
    """A run's training curves, for these tags or for all.

    If a later attempt has trained a step again, the later value counts.

    Raises:
        NotFound: if there is no such run.
        ObjectGone, DamagedObject: if the curves' file is missing or damaged.
        StorageAway: if the whole folder is away.
    """
    merged: dict[str, dict[int, float | None]] = defaultdict(dict)
    with database.read() as session:
        if session.scalar(select(tables.Run.id).where(tables.Run.id == run_id)) is None:
            raise NotFound("run", run_id)
        sha256 = session.scalar(
            select(tables.Artifact.sha256)
            .where(tables.Artifact.run_id == run_id, tables.Artifact.name == CURVES)
            .order_by(tables.Artifact.id.desc())
            .limit(1)
        )
        chunks = session.scalars(
            select(tables.Scalars.points)
            .where(tables.Scalars.run_id == run_id)
            .order_by(tables.Scalars.fence, tables.Scalars.id)
        ).all()
    rolled = {} if sha256 is None else _read(database, objects, sha256)
    for points in [rolled, *chunks]:
        for tag, values in points.items():
            if tags is None or tag in tags:
                merged[tag].update(values)
    return {tag: sorted(merged[tag].items(), key=lambda point: point[0]) for tag in sorted(merged)}


def to_bytes(found: Curves) -> bytes:
    """The content of the curves' file: JSON, {tag: [[step, value], …]}."""
    return json.dumps(found, allow_nan=False, separators=(",", ":")).encode()


def _read(
    database: Database, objects: ObjectFolder, sha256: str
) -> Mapping[str, list[tuple[int, float]]]:
    with open_recorded(database, objects, sha256) as file:
        points: dict[str, list[tuple[int, float]]] = json.load(file)
    return points
