"""The parts of scores that were written before there were columns for them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import inspect, select, text
from sqlalchemy.exc import IntegrityError

from store.database.connection import Database, migrate
from store.database.score_parts import NUMBERS, SETTING
from store.database.tables import Score


def _insert_scores(url: str, documents: Sequence[Mapping[str, Any]]) -> None:
    database = Database(url)
    with database.write() as session:
        session.execute(
            text(
                "INSERT INTO evaluations (id, file_sha256, evaluation_key, spec, state, created_at)"
                " VALUES ('e', 'sha', 'key', '{}', 'succeeded', 0)"
            )
        )
        for place, document in enumerate(documents):
            session.execute(
                text(
                    "INSERT INTO scores (id, evaluation_id, position, document)"
                    " VALUES (:id, 'e', :place, :document)"
                ),
                {"id": 10 + place, "place": place, "document": json.dumps(document)},
            )
    database.dispose()


def _downgrade(url: str, *, to: str) -> None:
    database = Database(url)
    config = Config()
    config.set_main_option("script_location", "migrations:.")
    with database.write() as session:
        config.attributes["connection"] = session.connection()
        command.downgrade(config, to)
    database.dispose()


@pytest.mark.parametrize("again", [False, True])
def test_scores_that_are_there_already_get_their_parts(
    empty_database_url: str, again: bool
) -> None:
    hostile = {"value": None, "error": 'no "value"\n\u2028größe', "metric": "mig", "rows": 3}
    documents = [{}, hostile, {"value": 0.5, "null": {"mean": 0.1}, "params": {"b": 1, "a": [2]}}]
    migrate(empty_database_url, to="0012")
    _insert_scores(empty_database_url, documents)
    migrate(empty_database_url, to="0013")
    if again:
        _downgrade(empty_database_url, to="0012")
        migrate(empty_database_url, to="0013")
    database = Database(empty_database_url)
    with database.read() as session:
        found = session.execute(
            select(Score.id, Score.numbers, Score.setting, Score.document).order_by(Score.id)
        ).all()
        made = session.execute(text("SELECT * FROM scores LIMIT 0")).keys()
        inspected = inspect(session.connection())
        keys = {one["name"] for one in inspected.get_foreign_keys("scores")}
        indexes = {one["name"] for one in inspected.get_indexes("scores")}
    with pytest.raises(IntegrityError), database.write() as session:
        session.execute(text("UPDATE scores SET position = 0"))
    database.dispose()
    assert [row.id for row in found] == [10, 11, 12]
    for row, document in zip(found, documents, strict=True):
        assert row.document == document
        assert json.loads(row.numbers) == [document.get(name) for name in NUMBERS]
        assert json.loads(row.setting) == [document.get(name) for name in SETTING]
    assert {"numbers", "setting"} < set(made)
    assert keys == {"fk_scores_run_id_runs", "fk_scores_evaluation_id_evaluations"}
    assert "ix_scores_run_id" in indexes
