"""Groups of codes: latents that are vectors, as slots, blocks and quantised codes are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float, Shaped
from pydantic import ConfigDict

from ml.components.described import Described
from ml.reproducibility.linear_algebra import single_threaded

GroupBy = Literal["principal_component", "importance"]
Groups = Sequence[int] | Sequence[Sequence[int]]
"""Sizes of consecutive groups, as (3, 2), or the columns of each, as ((0, 1, 2), (3, 4))."""

EITHER = "sizes of consecutive groups, as in [3, 2], or columns, as in [[0, 1, 2], [3, 4]]"
MOST_COLUMNS = 2**16
"""Most columns that sizes may add up to, as a list of them is made."""
NAMED = 4
"""Most columns that are all named in the name of a group whose columns are not consecutive."""
EQUALLY_LARGE = 0.999


class CodeGroups(Described):
    """Groups of columns of codes, each of which was scored as one latent."""

    model_config = ConfigDict(frozen=True)

    by: GroupBy
    """How a group became one latent. `principal_component`: its codes were replaced by their first
    principal component. `importance`: the importances of its codes were added up."""
    columns: list[list[int]]
    """The columns of each group, counted from 0."""
    names: list[str]
    """The names of the groups, made of those of their codes."""
    variance_kept: list[float] | None = None
    """The share of each group's variance that its first principal component has, in [0, 1]. It is
    null for groups by importance."""


def columns_of(groups: object) -> list[list[int]]:
    """The columns of each group.

    Raises:
        ValueError: these are no groups. The message says what is expected in their place.
    """
    given = list(groups) if isinstance(groups, Sequence | np.ndarray) else []
    if not given or isinstance(groups, str):
        raise ValueError(EITHER)
    if all(_is_integer(size) for size in given):
        sizes = [int(size) for size in given]
        if min(sizes) < 1 or sum(sizes) > MOST_COLUMNS:
            raise ValueError(f"sizes from 1 that add up to {MOST_COLUMNS:,} at most")
        ends = np.cumsum(sizes).tolist()
        return [list(range(end - size, end)) for end, size in zip(ends, sizes, strict=True)]
    columns = []
    for group in given:
        members = list(group) if isinstance(group, Sequence | np.ndarray) else []
        if not members or not all(_is_integer(column) and column >= 0 for column in members):
            raise ValueError(EITHER)
        columns.append([int(column) for column in members])
    times = Counter(column for group in columns for column in group)
    column, most = times.most_common(1)[0]
    if most > 1:
        raise ValueError(f"each column once, but column {column} is there {most} times")
    return columns


def uncovered(columns: Sequence[Sequence[int]], latents: int) -> str | None:
    """What groups of this many codes must be, with what is wrong; None if nothing is."""
    every = {column for group in columns for column in group}
    if beyond := sorted(every - set(range(latents))):
        return f"columns from 0 to {latents - 1}, but there is column {beyond[0]}"
    if left := sorted(set(range(latents)) - every):
        return (
            f"every one of the {latents} columns of codes in a group, which may be its only one,"
            f" but column {left[0]} is in none"
        )
    return None


def group_names(columns: Sequence[Sequence[int]], codes: Sequence[str]) -> list[str]:
    """Names of the groups: `z0..z2` for consecutive columns, `z0+z4` for others."""
    return [_name([codes[column] for column in group], group) for group in columns]


def first_component(
    codes: Shaped[np.ndarray, "samples columns"],
) -> tuple[Float[np.ndarray, "columns"], float]:
    """The direction of the codes' largest variance, and the share of the variance along it.

    The direction has length one, and the first of its largest weights is positive. Codes are
    centred, and not divided by their deviations: a code that hardly varies counts for little. If
    no code varies, the direction is the first code, and the share 1.
    """
    columns = codes.astype(np.float64)
    # A constant column is exactly zero then, and squares stay within what float64 holds.
    columns -= columns.min(0)
    largest = columns.max()
    if largest == 0 or columns.shape[1] == 1:
        return np.eye(columns.shape[1])[0], 1.0
    columns /= largest
    columns -= columns.mean(0)
    with single_threaded():
        variances, directions = np.linalg.eigh(columns.T @ columns)
    direction = directions[:, -1]
    sizes = np.abs(direction)
    # Equal weights may differ by rounding, and rounding must not decide the sign.
    first = int(np.flatnonzero(sizes > EQUALLY_LARGE * sizes.max())[0])
    return direction * np.sign(direction[first]), min(1.0, float(variances[-1] / variances.sum()))


def _is_integer(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _name(codes: Sequence[str], columns: Sequence[int]) -> str:
    if len(codes) == 1:
        return codes[0]
    if list(columns) == list(range(columns[0], columns[0] + len(columns))):
        return f"{codes[0]}..{codes[-1]}"
    if len(codes) > NAMED:
        codes = [*codes[: NAMED - 2], "…", codes[-1]]
    return "+".join(codes)
