"""Facts about the rows that a reader of their scores must know."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import Any

import numpy as np

from ml.codes.rows import FactorKind, Rows
from ml.evaluation.conditions import conditions
from ml.metrics.protocol import Metric


def row_facts(rows: Rows, metric: Metric) -> dict[str, Any]:
    """Facts for the details of every score of these rows, as far as they concern the metric.

    - `latents`: the names of the codes if they have any, or of the groups of codes.
    - `kl_per_latent`: the mean KL in nats, if a posterior is known. That of a group is the sum.
    - `equal_factors`: lists of factors that are equal.
    - `untrained_classes`: see `Metric.untrained_classes`.
    - `conditions`: those under which some scores mislead (`ml.evaluation.conditions`), if any hold.
    """
    facts: dict[str, Any] = {}
    if rows.code_names is not None or rows.groups is not None:
        facts["latents"] = list(rows.latent_names())
    if not metric.needs_factors:
        return facts
    if rows.kl is not None and np.isfinite(rows.kl).all():
        facts["kl_per_latent"] = rows.summed_over_groups(rows.kl.mean(0)).tolist()
    if equal := equal_factors(rows):
        facts["equal_factors"] = equal
    if untrained := metric.untrained_classes(rows):
        facts["untrained_classes"] = untrained
    if found := conditions(rows):
        facts["conditions"] = found
    return facts


FEWEST = 10
"""Fewest rows with which factors are compared."""
ROWS_A_CLASS = 10
"""A continuous column is compared by its classes if each value has this many rows on average."""


def equal_factors(rows: Rows) -> list[list[str]]:
    """Groups of factors that are equal but for their names or units.

    Columns of classes are equal if they divide the rows into the same classes. Other columns are
    equal if they put the rows in the same order, or in opposite orders. Factors with a single value
    are in no group. There are no groups for fewer than ten rows, which may agree by chance.
    """
    if "equal factors" not in rows.shared:
        groups: dict[bytes, list[str]] = defaultdict(list)
        for name, kind, values in zip(
            rows.factor_names, rows.factor_kinds, rows.factors.T, strict=True
        ):
            if len(rows) >= FEWEST and (values != values[0]).any():
                groups[_digest(values, kind)].append(name)
        rows.shared["equal factors"] = [names for names in groups.values() if len(names) > 1]
    found: list[list[str]] = rows.shared["equal factors"]
    return found


def _digest(values: np.ndarray, kind: FactorKind) -> bytes:
    """A hash of the rows' classes, numbered as they first occur, or of the rows' order."""
    _, first, places = np.unique(values, return_index=True, return_inverse=True)
    # Any two columns that differ in every row have the same classes.
    fewest = 1 if kind == "discrete" else ROWS_A_CLASS
    if len(first) < len(values) and len(first) * fewest <= len(values):
        places = np.argsort(np.argsort(first))[places]
    else:
        # The direction is chosen so that the first row whose rank depends on it ranks low: opposite
        # orders then give the same ranks.
        downwards = len(first) - 1 - places
        unlike = int(np.argmax(places != downwards))
        places = min(places, downwards, key=lambda order: int(order[unlike]))
    return hashlib.sha256(np.ascontiguousarray(places, dtype=np.int64).tobytes()).digest()
