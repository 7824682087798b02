"""Rows in which groups of codes count as one latent each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

import numpy as np
from jaxtyping import Float, Shaped

from ml.codes.groups import CodeGroups, GroupBy, first_component, group_names, uncovered
from ml.codes.rows import Posteriors, Rows, UnusableRows

Directions = Sequence[tuple[list[int], Float[np.ndarray, "_"]]]
"""The columns of each group, and their weights."""
TINY = 1e-300
"""It is added to a squared weight, so that a weight of zero has a logarithm."""


def grouped(rows: Rows, columns: Sequence[Sequence[int]], by: GroupBy) -> Rows:
    r"""The rows with these groups of columns of codes as latents. Every column is in one group.

    By `principal_component` the codes of a group become :math:`z w`, where w is the direction of
    their largest variance (`ml.codes.groups.first_component`). It has length one, so that a
    group of one code stays as it is. Posteriors are those of :math:`z w`:

    .. math:: N\left(\mu w, \sum_d w_d^2 \sigma_d^2\right)

    The KL of a group is the sum over its codes. Directions are computed once, on all rows: nulls
    and intervals take them as a part of the representation.

    By `importance` the codes stay, and metrics add up their importances over each group.

    Raises:
        UnusableRows: a column is in no group, there is no such column, or no such way to group.
    """
    if by not in get_args(GroupBy):
        raise UnusableRows(f"group_by must be {' or '.join(get_args(GroupBy))}, got {by!r}")
    if (expected := uncovered(columns, rows.codes.shape[1])) is not None:
        raise UnusableRows(f"groups must have {expected}")
    names = group_names(columns, rows.latent_names())
    found = CodeGroups(by=by, columns=[list(group) for group in columns], names=names)
    if by == "importance":
        return replace(rows, groups=found, shared={})
    components = [first_component(rows.codes[:, group]) for group in columns]
    along = [(list(group), w) for group, (w, _) in zip(columns, components, strict=True)]
    kept = [share for _, share in components]
    return replace(
        rows,
        codes=_along(rows.codes, along),
        code_names=tuple(names),
        kl=None
        if rows.kl is None
        else np.stack([rows.kl[:, group].sum(1) for group in columns], axis=1),
        posteriors=None if rows.posteriors is None else _of_posteriors(rows.posteriors, along),
        groups=found.model_copy(update={"variance_kept": kept}),
        shared={},
    )


def _along(
    codes: Shaped[np.ndarray, "samples latents"], along: Directions
) -> Shaped[np.ndarray, "samples groups"]:
    if all(len(group) == 1 for group, _ in along):
        # The codes keep their dtype, in which histograms are computed. They stay contiguous in
        # memory, as sums in another order may be rounded differently.
        return np.ascontiguousarray(codes[:, [group[0] for group, _ in along]])
    # The rounding of matrix products depends on the number of threads, and that of einsum does not.
    return np.stack(
        [np.einsum("nd,d->n", codes[:, group].astype(np.float64), w) for group, w in along],
        axis=1,
    )


def _of_posteriors(posteriors: Posteriors, along: Directions) -> Posteriors:
    log_variances = [
        np.logaddexp.reduce(
            posteriors.log_variance[:, group].astype(np.float64) + np.log(w**2 + TINY), axis=1
        )
        for group, w in along
    ]
    return Posteriors(
        _along(posteriors.mean, along),
        np.stack(log_variances, axis=1),
        None if posteriors.sample is None else _along(posteriors.sample, along),
    )
