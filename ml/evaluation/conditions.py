"""Conditions of rows under which some scores mislead: what the data are like, whatever the codes.

Which scores a condition misleads, certificates say (`ml.evaluation.validity`). A condition is named
only if it holds, with its numbers: balanced and independent factors on enough rows have none. The
cost is that of sorting the factors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import chdtri

from ml.codes.rows import Rows
from ml.metrics.information.mutual_information import BINS, MOST_CELLS, classes_of, information

DEPENDENT = 0.05
"""A factor depends on another that holds more than this share of its entropy, chance aside."""
BY_CHANCE = 1e-6
"""Independent factors look so dependent with this probability."""
BALANCED = 0.8
"""A factor is balanced if it has this share of the entropy of as many equally frequent values."""
MANY_VALUES = BINS
"""A factor of more values than this has many."""
ROWS_A_VALUE = 60
"""Rows for each value of a factor below which rows are few."""
MORE_LATENTS = 3.0
"""Codes for each factor from which on there are many."""
FEWEST = 10
"""Fewest rows of which anything is said."""
MOST_FACTORS = 64
"""Most factors of which each is compared with each."""


def conditions(rows: Rows) -> dict[str, dict[str, Any]]:
    """The conditions that hold of these rows, by name, each with its numbers.

    - `dependent_factors`: `one` tells a `share` of the entropy of `other`, above chance.
    - `unbalanced_factors`: a `factor` whose largest class has a `share` of the rows.
    - `many_values`: the discrete `factor` with the most `values`.
    - `few_rows`: the `rows`, and `rows_per_value` of the `factor` with the most `values`. If it is
      continuous, its values are bins (`binned`).
    - `more_latents`: `latents` and `factors`.
    - `dead_codes`: the number of constant `codes`, of `latents`.
    - `continuous_factors`: their number, `factors`.
    """
    if "conditions" not in rows.shared:
        judged = len(rows) >= FEWEST and rows.factors.shape[1] > 0
        rows.shared["conditions"] = _conditions(rows) if judged else {}
    found: dict[str, dict[str, Any]] = rows.shared["conditions"]
    return found


def _conditions(rows: Rows) -> dict[str, dict[str, Any]]:
    classes = classes_of(rows.factors, rows.factor_kinds)
    several = {
        "dependent_factors": _dependent(rows, classes),
        "unbalanced_factors": _unbalanced(rows, classes),
        "many_values": _many_values(rows, classes),
        "few_rows": _few_rows(rows, classes),
        "more_latents": _more_latents(rows),
        "dead_codes": _dead_codes(rows),
        "continuous_factors": _continuous(rows),
    }
    return {name: found for name, found in several.items() if found is not None}


def _dependent(rows: Rows, classes: np.ndarray) -> dict[str, Any] | None:
    sizes = classes.max(0) + 1
    # Tables of factors of about a value a row do not fit into memory, and tell nothing.
    kept = np.flatnonzero((sizes > 1) & (2 * sizes < len(rows)))
    if not 2 <= len(kept) <= MOST_FACTORS:
        return None
    if int(sizes[kept].max()) * int(sizes[kept].sum()) > MOST_CELLS:
        return None
    classes, sizes = classes[:, kept], sizes[kept]
    known = information(classes, classes)
    freedom = np.outer(sizes - 1, sizes - 1).astype(np.float64)
    # 2 N I is about chi-squared where factors are independent, with a mean of its freedom.
    real = 2 * len(rows) * known.mutual > chdtri(freedom, BY_CHANCE)
    shares = np.where(real, known.mutual - freedom / (2 * len(rows)), 0.0) / known.factors
    # Factors that tell all of each other are one factor given twice, which is said elsewhere.
    whole = known.mutual >= (1 - 1e-9) * known.factors
    shares[whole & whole.T] = 0.0
    one, other = np.unravel_index(int(shares.argmax()), shares.shape)
    if shares[one, other] <= DEPENDENT:
        return None
    names = [rows.factor_names[k] for k in kept]
    return {
        "one": names[one],
        "other": names[other],
        "share": round(float(shares[one, other]), 4),
    }


def _unbalanced(rows: Rows, classes: np.ndarray) -> dict[str, Any] | None:
    lowest, found = BALANCED, None
    for k, kind in enumerate(rows.factor_kinds):
        counts = np.bincount(classes[:, k])
        if kind == "continuous" or len(counts) < 2:
            continue
        shares = counts / len(rows)
        entropy = float(-(shares * np.log(shares)).sum() / np.log(len(counts)))
        if entropy < lowest:
            lowest = entropy
            found = {"factor": rows.factor_names[k], "share": round(float(shares.max()), 4)}
    return found


def _many_values(rows: Rows, classes: np.ndarray) -> dict[str, Any] | None:
    sizes = np.where([kind == "discrete" for kind in rows.factor_kinds], classes.max(0) + 1, 0)
    most = int(sizes.argmax())
    if sizes[most] <= MANY_VALUES:
        return None
    return {"factor": rows.factor_names[most], "values": int(sizes[most])}


def _few_rows(rows: Rows, classes: np.ndarray) -> dict[str, Any] | None:
    sizes = classes.max(0) + 1
    most = int(sizes.argmax())
    each = len(rows) / int(sizes[most])
    if rows.population or each >= ROWS_A_VALUE:
        return None
    return {
        "rows": len(rows),
        "factor": rows.factor_names[most],
        "values": int(sizes[most]),
        "rows_per_value": round(each, 1),
        **({"binned": True} if rows.factor_kinds[most] == "continuous" else {}),
    }


def _more_latents(rows: Rows) -> dict[str, Any] | None:
    latents, factors = len(rows.latent_names()), rows.factors.shape[1]
    return {"latents": latents, "factors": factors} if latents >= MORE_LATENTS * factors else None


def _dead_codes(rows: Rows) -> dict[str, Any] | None:
    varies = (rows.codes != rows.codes[:1]).any(0).astype(np.float64)
    latents = rows.summed_over_groups(varies)
    dead = int((latents == 0).sum())
    return {"codes": dead, "latents": len(latents)} if dead else None


def _continuous(rows: Rows) -> dict[str, Any] | None:
    number = rows.factor_kinds.count("continuous")
    return {"factors": number} if number else None
