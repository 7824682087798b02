"""How much room experiments take up in the folders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Subquery, func, select

from store.database.connection import Database
from store.database.tables import Artifact, Checkpoint, ExperimentRun


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes of the files of an experiment's runs, including files shared with others."""

    artifacts: int = 0
    checkpoints: int = 0


def usage(database: Database, experiment_ids: Sequence[str]) -> dict[str, Usage]:
    """The usage of each of these experiments. A file of several of its runs counts once."""
    link = ExperimentRun
    # A run may have two places in one experiment.
    held = (
        select(link.experiment_id, link.run_id)
        .where(link.experiment_id.in_(experiment_ids))
        .distinct()
        .subquery()
    )
    artifacts = (
        select(held.c.experiment_id, Artifact.sha256, Artifact.bytes)
        .join(Artifact, Artifact.run_id == held.c.run_id)
        .distinct()
        .subquery()
    )
    checkpoints = (
        select(held.c.experiment_id, Checkpoint.path, Checkpoint.bytes)
        .join(Checkpoint, Checkpoint.run_id == held.c.run_id)
        .distinct()
        .subquery()
    )
    of_artifacts = _sums(database, artifacts)
    of_checkpoints = _sums(database, checkpoints)
    return {id: Usage(of_artifacts.get(id, 0), of_checkpoints.get(id, 0)) for id in experiment_ids}


def _sums(database: Database, files: Subquery) -> dict[str, int]:
    with database.read() as session:
        rows = session.execute(
            select(files.c.experiment_id, func.sum(files.c.bytes)).group_by(files.c.experiment_id)
        ).all()
    return {id: int(total) for id, total in rows}
