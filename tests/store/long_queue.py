"""A long queue, written by a few statements: experiments of many owners whose runs all wait."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import bindparam, text
from sqlalchemy.orm import Session

from store.database.connection import Database
from store.database.tables import Base

OWNERS = 32
#: Runs of an experiment. They can be trained side by side, and all take the same time.
SWEPT = 50

# Places are counted from `first`. Ids are as long as real ones and rise as they were written.
_NUMBERS = """
WITH RECURSIVE
    bounds AS (SELECT CAST(:first AS INTEGER) AS low, CAST(:last AS INTEGER) AS high),
    numbers(n) AS (
        SELECT low FROM bounds UNION ALL SELECT n + 1 FROM numbers, bounds WHERE n + 1 < high
    )
"""
_ID = "'{}_0000000000000000' || CAST(1000000000 + {} AS TEXT)"
_RUN, _EXPERIMENT = _ID.format("run", "n"), _ID.format("exp", f"n / {SWEPT}")
_EVALUATION, _JOB = _ID.format("eval", "n"), _ID.format("job", "n")
_OWNER = f"'owner ' || CAST((n / {SWEPT}) % {OWNERS} AS TEXT)"
# Every tenth experiment is urgent, and every fifth is of short runs.
_PRIORITY = f"CASE (n / {SWEPT}) % 10 WHEN 3 THEN 1 ELSE 0 END"
_SHORT = f"(n / {SWEPT}) % 5 = 1"
_AT = "CAST(:at AS DOUBLE PRECISION) + n / 100.0"

_ROWS: dict[str, dict[str, str]] = {
    "experiments": {
        "id": _EXPERIMENT,
        "name": f"'sweep ' || CAST(n / {SWEPT} AS TEXT)",
        "tags": "{json:[]}",
        "spec": "{json:spec}",
        "owner": _OWNER,
        "priority": _PRIORITY,
        "created_at": _AT,
        "events": "0",
    },
    "runs": {
        "id": _RUN,
        "train_id": _RUN,
        "current": "(1 = 1)",
        "state": "'queued'",
        "spec": "{json:spec}",
        "dataset": "'digits'",
        "objective": "'beta_vae'",
        "seed": f"n % {SWEPT}",
        "steps": "1000",
        "created_at": _AT,
        "course_id": _RUN,
    },
    "evaluations": {
        "id": _EVALUATION,
        "run_id": _RUN,
        "evaluation_key": "'mig'",
        "spec": "{json:evaluation}",
        "state": "'queued'",
        "created_at": _AT,
    },
    "experiment_runs": {
        "experiment_id": _EXPERIMENT,
        "position": f"n % {SWEPT}",
        "run_id": _RUN,
        "evaluation_id": _EVALUATION,
        "swept": "{json:swept}",
        "reused": "(1 = 0)",
        "wanted": "(1 = 1)",
    },
    "jobs": {
        "id": _JOB,
        "kind": "'train'",
        "run_id": _RUN,
        "state": "'queued'",
        "priority": _PRIORITY,
        "owner": _OWNER,
        "created_at": _AT,
        "fence": "0",
        "attempts": "0",
        "losses": "0",
        "cancel_requested": "(1 = 0)",
        "cohort_key": f"'cohort ' || CAST(n / {SWEPT} AS TEXT)",
        "pace_key": f"'pace ' || CAST(n / {SWEPT} % 7 AS TEXT)",
        "short": _SHORT,
    },
}


def fill(
    database: Database,
    first: int,
    last: int,
    *,
    spec: dict[str, Any] | None = None,
    evaluation: dict[str, Any] | None = None,
    began_at: float = 1.0,
) -> None:
    """Write the waiting runs number `first` up to `last`, both multiples of `SWEPT`.

    Each has its training job, its evaluation, and its place in an experiment of `SWEPT` runs.
    """
    if first % SWEPT or last % SWEPT:
        raise ValueError(f"Expected multiples of {SWEPT}; got {first} and {last}.")
    documents = {
        "spec": json.dumps(spec or {}),
        "evaluation": json.dumps(evaluation or {}),
        "swept": json.dumps({"seed": 0}),
        "[]": "[]",
    }
    with database.write() as session:
        for table in Base.metadata.sorted_tables:
            if columns := _ROWS.get(table.name):
                which = f" WHERE n % {SWEPT} = 0" if table.name == "experiments" else ""
                _insert(session, table.name, columns, which, first, last, documents, began_at)
    with database.write() as session:
        # A server does this by itself within a minute.
        session.execute(text("ANALYZE"))


def _insert(
    session: Session,
    table: str,
    columns: dict[str, str],
    which: str,
    first: int,
    last: int,
    documents: dict[str, str],
    began_at: float,
) -> None:
    kind = "JSONB" if session.get_bind().dialect.name == "postgresql" else "TEXT"
    values: list[str] = []
    used: dict[str, Any] = {"first": first, "last": last}
    for column in columns.values():
        if column.startswith("{json:"):
            name = column.removeprefix("{json:").removesuffix("}")
            key = f"document_{list(documents).index(name)}"
            used[key] = documents[name]
            values.append(f"CAST(:{key} AS {kind})")
        else:
            values.append(column)
            if ":at" in column:
                used["at"] = began_at
    selected = f"{_NUMBERS} SELECT {', '.join(values)} FROM numbers{which}"
    statement = f"INSERT INTO {table} ({', '.join(columns)}) {selected}"
    session.execute(text(statement).bindparams(*(bindparam(name) for name in used)), used)
