"""What scores that are there already are numbers of: rows that were fitted, and factors judged.

A KL is no longer the better for being lower.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(JSONB(), "postgresql")
SCORES = sa.table(
    "scores",
    sa.column("id", sa.BigInteger()),
    sa.column("evaluation_id"),
    sa.column("document", JSON),
)
EVALUATIONS = sa.table("evaluations", sa.column("id"), sa.column("run_id"), sa.column("spec", JSON))
FITTED = {
    ("sap", "predictor"): ("linear_svm", "logistic_regression", "correlation"),
    ("dci", "predictor"): ("gradient_boosting", "logistic_regression"),
    ("explicitness", "variant"): ("multinomial",),
}
"""What fitted the training rows alone when these scores were made."""
AT_ONCE = 500

Document = dict[str, Any]


def upgrade() -> None:
    _rewrite(_told)


def downgrade() -> None:
    _rewrite(_untold)


def _rewrite(changed: Callable[[Document, Document, bool], Document]) -> None:
    connection = op.get_bind()
    update = (
        sa.update(SCORES)
        .where(SCORES.c.id == sa.bindparam("of"))
        .values(document=sa.bindparam("told", type_=JSON))
    )
    for rows in _in_parts(connection):
        changes = [
            {"of": id, "told": told}
            for id, document, spec, run_id in rows
            if (told := changed(document, spec, run_id is not None)) != document
        ]
        if changes:
            connection.execute(update, changes)


def _in_parts(connection: sa.Connection) -> Iterator[list[Any]]:
    joined = SCORES.join(EVALUATIONS, EVALUATIONS.c.id == SCORES.c.evaluation_id)
    query = (
        sa.select(SCORES.c.id, SCORES.c.document, EVALUATIONS.c.spec, EVALUATIONS.c.run_id)
        .select_from(joined)
        .order_by(SCORES.c.id)
        .limit(AT_ONCE)
    )
    last = None
    while True:
        part = query if last is None else query.where(SCORES.c.id > last)
        rows = list(connection.execute(part))
        if not rows:
            return
        yield rows
        last = rows[-1][0]


def _told(document: Document, spec: Document, of_run: bool) -> Document:
    if "metric" not in document or "train_rows" in document:
        return document
    factors = document.get("details", {}).get("factors")
    told = {**document, "train_rows": _train_rows(document, spec, of_run), "factors": factors}
    if (document["metric"], document.get("name")) == ("elbo", "kl"):
        told["higher_is_better"] = None
    return told


def _train_rows(document: Document, spec: Mapping[str, Any], of_run: bool) -> int | None:
    rows, params = document.get("rows"), document.get("params", {})
    if rows is None or not any(
        document["metric"] == metric and params.get(name) in fitted
        for (metric, name), fitted in FITTED.items()
    ):
        return None
    if not of_run:
        return spec.get("train_rows") or math.ceil(0.75 * rows)
    asked = spec.get("evaluation", {})
    if not {"rows", "test_rows"} <= asked.keys():
        return None
    wanted: int = asked["rows"] + asked["test_rows"]
    if rows == wanted:
        return int(asked["rows"])
    # All of a data set with fewer images, in proportion.
    return max(1, min(rows - 1, round(rows * asked["rows"] / wanted)))


def _untold(document: Document, *_: object) -> Document:
    told = {key: document[key] for key in document if key not in ("train_rows", "factors")}
    if told.get("higher_is_better", False) is None:
        told["higher_is_better"] = False
    return told
