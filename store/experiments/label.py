"""What people call an experiment or a run's latents, changed afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import update

from store.database.connection import Database
from store.database.tables import Experiment, Run
from store.errors import NotFound


def label_experiment(database: Database, id: str, **values: Any) -> None:
    """Change an experiment's `name`, `tags` or `notes`, those that are given.

    Raises:
        NotFound: if there is no such experiment.
    """
    change = update(Experiment).where(Experiment.id == id).values(id=id, **values)
    with database.write() as session:
        if session.scalar(change.returning(Experiment.id)) is None:
            raise NotFound("experiment", id)


def name_latents(database: Database, run_id: str, names: Mapping[int, str]) -> None:
    """Call a run's latents by these names, and the others by none.

    Raises:
        NotFound: if there is no such run.
    """
    listed = {str(latent): name for latent, name in sorted(names.items())}
    change = update(Run).where(Run.id == run_id).values(id=run_id, latent_names=listed or None)
    with database.write() as session:
        if session.scalar(change.returning(Run.id)) is None:
            raise NotFound("run", run_id)
