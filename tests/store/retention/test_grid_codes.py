from __future__ import annotations

from sqlalchemy import update

from store.database.tables import Artifact
from store.files.artifact_names import CODES, GRID_CODES
from store.jobs.finish import NewArtifact, finish_training
from store.queries import artifacts
from store.retention.grid_codes import drop_grid_codes
from tests.store.lab import Lab

DAY = 86400.0


def trained(lab: Lab, train_id: str, *, days_ago: float) -> str:
    """A run that has encoded every image so long ago."""
    lab.post(train_id)
    taken = lab.take()
    files = [NewArtifact(name, "0" * 64, "x", 1) for name in (CODES, GRID_CODES)]
    finish_training(lab.database, taken, record={}, artifacts=files)
    with lab.database.write() as session:
        session.execute(
            update(Artifact)
            .where(Artifact.run_id == taken.trains)
            .values(created_at=Artifact.created_at - days_ago * DAY)
        )
    return taken.trains


def test_grid_codes_are_dropped_after_their_days_and_nothing_else(lab: Lab) -> None:
    old, new = trained(lab, "a", days_ago=8), trained(lab, "b", days_ago=6)
    assert drop_grid_codes(lab.database, days=7) == 1
    assert [one.name for one in artifacts(lab.database, old)] == [CODES]
    assert [one.name for one in artifacts(lab.database, new)] == [CODES, GRID_CODES]
    assert drop_grid_codes(lab.database, days=7) == 0
    assert drop_grid_codes(lab.database, days=0) == 1
