"""What of the rows themselves a reader of their scores must know."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import Any

import numpy as np

from ml.codes.rows import FactorKind, Rows
from ml.metrics.protocol import Metric


def row_facts(rows: Rows, metric: Metric) -> dict[str, Any]:
    """What stands in the details of every score of these rows, as far as it concerns the metric.

    - `latents`: what the codes are called, where they are not only numbered.
    - `kl_per_latent`: the mean KL in nats, where a posterior is known.
    - `equal_factors`: lists of factors that are one and the same.
    - `untrained_classes`: see `Metric.untrained_classes`.
    """
    facts: dict[str, Any] = {}
    if rows.code_names is not None:
        facts["latents"] = list(rows.code_names)
    if not metric.needs_factors:
        return facts
    if rows.kl is not None and np.isfinite(rows.kl).all():
        facts["kl_per_latent"] = rows.kl.mean(0).tolist()
    if equal := equal_factors(rows):
        facts["equal_factors"] = equal
    if untrained := metric.untrained_classes(rows):
        facts["untrained_classes"] = untrained
    return facts


FEWEST = 10
ROWS_A_CLASS = 10
"""Columns of at least so many rows a value, on average, are compared as classes."""


def equal_factors(rows: Rows) -> list[list[str]]:
    """Groups of factors that tell the same of every row, by other names or in other units.

    Columns of classes are equal where one's classes are the other's, and of other numbers where
    the rows stand in the same order by both, or in the opposite one. A factor of a single value
    tells nothing, and is in no group; fewer than ten rows are alike by chance.
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
    """Of a factor's classes in the order in which they come, or of its rows' order by it."""
    _, first, places = np.unique(values, return_index=True, return_inverse=True)
    # Any two columns that differ in every row have the same classes.
    fewest = 1 if kind == "discrete" else ROWS_A_CLASS
    if len(first) < len(values) and len(first) * fewest <= len(values):
        places = np.argsort(np.argsort(first))[places]
    else:
        # Upwards or downwards, as the first row that is not in the middle is below or above.
        downwards = len(first) - 1 - places
        unlike = int(np.argmax(places != downwards))
        places = min(places, downwards, key=lambda order: int(order[unlike]))
    return hashlib.sha256(np.ascontiguousarray(places, dtype=np.int64).tobytes()).digest()
