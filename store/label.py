"""What people call an experiment, changed afterwards."""

from __future__ import annotations

from typing import Any

from sqlalchemy import update

from store.database import Database
from store.errors import NotFound
from store.tables import Experiment


def label_experiment(database: Database, id: str, **values: Any) -> None:
    """Change an experiment's `name`, `tags` or `notes`, those that are given.

    Raises:
        NotFound: if there is no such experiment.
    """
    change = update(Experiment).where(Experiment.id == id).values(id=id, **values)
    with database.write() as session:
        if session.scalar(change.returning(Experiment.id)) is None:
            raise NotFound("experiment", id)
