"""Changing names: an experiment's name, tags and notes, and the names of a run's latents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import update

from store.database.connection import Database
from store.database.tables import Experiment, Run
from store.errors import NotFound


def label_experiment(database: Database, id: str, **values: Any) -> None:
    """Change those of an experiment's `name`, `tags` and `notes` that are given.

    Raises:
        NotFound: if there is no such experiment.
    """
    change = update(Experiment).where(Experiment.id == id).values(id=id, **values)
    with database.write() as session:
        if session.scalar(change.returning(Experiment.id)) is None:
            raise NotFound("experiment", id)


def name_latents(database: Database, run_id: str, names: Mapping[int, str]) -> None:
    """Name a run's latents. A latent that is not in `names` loses its name.

    Raises:
        NotFound: if there is no such run.
    """
    listed = {str(latent): name for latent, name in sorted(names.items())}
    change = update(Run).where(Run.id == run_id).values(id=run_id, latent_names=listed or None)
    with database.write() as session:
        if session.scalar(change.returning(Run.id)) is None:
            raise NotFound("run", run_id)
