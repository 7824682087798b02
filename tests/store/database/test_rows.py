from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, func, select, text
from sqlalchemy.engine import Engine

from store.database import rows
from store.database.connection import Database
from store.database.rows import insert_rows, update_rows
from store.database.tables import Attempt, Counter, LogLine, Run
from store.jobs.log import add_lines, log_of_run
from store.states import RunState
from tests.store.lab import Lab

ROOT = Path(__file__).parents[3]


def test_no_rows_are_nothing_to_write(database: Database) -> None:
    with database.write() as session:
        insert_rows(session, LogLine, [])
        update_rows(session, LogLine, [])
    with database.read() as session:
        assert session.scalars(select(LogLine.id)).all() == []


def test_many_rows_are_made_ready_and_sent_part_by_part(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "_AT_ONCE", 10)
    sent: list[object] = []

    def listen(*given: object) -> None:
        sent.append(given[2])

    with database.write() as session:
        insert_rows(session, Counter, [])
        event.listen(Engine, "before_cursor_execute", listen)
        try:
            values = [{"name": f"{number:02}", "value": number} for number in range(25)]
            insert_rows(session, Counter, values)
        finally:
            event.remove(Engine, "before_cursor_execute", listen)
        assert sum(str(statement).startswith("INSERT") for statement in sent) == 3
        assert session.scalar(select(func.sum(Counter.value))) == sum(range(25))


@pytest.mark.parametrize("number", [1, 2, rows._FEW, rows._FEW + 1])
def test_few_rows_are_written_as_many_are(
    number: int, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The witness is SQLAlchemy, which makes the values ready itself."""
    words = ["a", "", "%s ?", ":name", "'; --", "\\", "日本語 🙂", '{"a": 1}', "%(id)s"]

    def runs(prefix: str) -> list[dict[str, Any]]:
        return [
            {
                "id": f"{prefix}{place}",
                "train_id": prefix + word,
                "current": place % 2 == 0,
                "state": list(RunState)[place % len(RunState)],
                "spec": {word: [1, 1.0, 0.1, None, True, {"%s": word}], "a": {}},
                "dataset": word,
                "objective": word,
                "seed": place - 1,
                "steps": 2**31 - 1,
                "error": None if place % 3 == 0 else {"type": word},
                "created_at": 1e9 + 0.1 + place,
                "course_id": None if place % 2 else word,
            }
            for place, word in enumerate(words[:number])
        ]

    with database.write() as session:
        insert_rows(session, Run, runs("few"))
        monkeypatch.setattr(rows, "_FEW", 0)
        insert_rows(session, Run, runs("many"))
    with database.read() as session:
        names = list(runs("few")[0])
        columns = [getattr(Run, name) for name in names]
        found = session.execute(select(*columns, Run.pinned).order_by(Run.created_at, Run.id)).all()
        kept = session.execute(text("SELECT id, spec, error FROM runs ORDER BY created_at, id"))
        raw = [str(row[1:]) for row in kept]
    few, many = found[::2], found[1::2]
    assert [row[2:] for row in few] == [row[2:] for row in many]
    assert raw[::2] == raw[1::2]
    assert [dict(zip(names, row[:-1], strict=True)) for row in few] == runs("few")


def test_a_log_of_no_lines_is_empty(lab: Lab) -> None:
    run_id = lab.run_of(lab.post("a"))
    add_lines(lab.database, lab.take(), [])
    assert log_of_run(lab.database, run_id) == []


def test_rows_are_changed_by_their_keys(lab: Lab) -> None:
    lab.post("a", "b")
    for _ in "ab":
        lab.take()
    with lab.database.write() as session:
        first, second = session.scalars(select(Attempt.job_id).order_by(Attempt.job_id))
        update_rows(session, Attempt, [{"job_id": first, "fence": 1, "worker": "another"}])
    with lab.database.read() as session:
        found = session.execute(select(Attempt.job_id, Attempt.worker).order_by(Attempt.job_id))
        assert found.all() == [(first, "another"), (second, "w")]


def lists_of_rows(path: Path) -> list[str]:
    """Where a file gives a statement that writes its rows by itself."""
    return [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in ("execute", "scalars")
        and len(call.args) > 1
        and not isinstance(call.args[1], ast.Dict)
        and ("insert(" in ast.unparse(call.args[0]) or "update(" in ast.unparse(call.args[0]))
    ]


@pytest.mark.parametrize("folder", ["api", "migrations", "store", "worker"])
def test_every_list_of_rows_is_written_where_it_may_be_empty(folder: str) -> None:
    found = [place for path in (ROOT / folder).rglob("*.py") for place in lists_of_rows(path)]
    assert [place for place in found if not place.startswith("store/database/rows.py")] == []
    assert len(found) == (2 if folder == "store" else 0)
