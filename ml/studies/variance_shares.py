"""What the differences between runs come from: objective, hyperparameter or seed."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict


class VarianceShares(BaseModel):
    """Shares of a number's variance across runs, which add up to 1."""

    model_config = ConfigDict(use_attribute_docstrings=True, frozen=True)

    objective: float
    """Between objectives; 0 where there is one."""
    hyperparameter: float
    """Between settings of one objective."""
    seed: float | None
    """Between runs of one setting; None where no setting has two, as nothing tells then what the
    seed does, and all of it counts as the hyperparameter's."""
    objective_by_chance: float
    """What share the objective would have on average if it had no effect."""
    hyperparameter_by_chance: float
    """What share the hyperparameter would have on average if neither had an effect."""
    runs: int
    """With a value."""
    settings: int
    objectives: int


def variance_shares(
    values: Sequence[float], objectives: Sequence[Hashable], settings: Sequence[Hashable]
) -> VarianceShares | None:
    r"""Shares of the variance of `values`, one a run, by nested sums of squares.

    With :math:`\bar y_o` and :math:`\bar y_s` the means over an objective's and a setting's runs,

    .. math::
        \sum (y - \bar y)^2 = \sum (\bar y_o - \bar y)^2 + \sum (\bar y_s - \bar y_o)^2
        + \sum (y - \bar y_s)^2

    over all runs, of whatever number in each group. The first share is the R² of predicting the
    number from the objective, and the first two together that from objective and hyperparameter.

    Few runs flatter the first two: of runs that differ by chance alone, the settings' share is
    (settings - 1) / (runs - 1) on average, which is 1 with one run a setting. The result says
    what each would be by chance.

    Args:
        values: finite.
        objectives: which objective each run has.
        settings: which hyperparameters each run has; the same one under two objectives is two.

    Returns:
        None where there are fewer than two runs, or all have one value.

    References:
        Locatello et al., 2019, section 5.3, https://arxiv.org/abs/1811.12359
    """
    found = np.asarray(values, dtype=np.float64)
    if len(found) < 2 or np.all(found == found[0]):
        return None
    # Shares do not depend on the scale, and sums and squares of large numbers might overflow.
    found = np.ldexp(found, -int(np.frexp(np.abs(found).max())[1]))
    found = (found - found.mean()) / np.abs(found - found.mean()).max()
    nested = list(zip(objectives, settings, strict=True))
    by_objective, by_setting = _group_means(found, objectives), _group_means(found, nested)
    parts = np.array(
        [
            np.square(by_objective - found.mean()).sum(),
            np.square(by_setting - by_objective).sum(),
            np.square(found - by_setting).sum(),
        ]
    )
    objective, hyperparameter, seed = (float(part) for part in parts / parts.sum())
    runs, kinds, groups = len(found), len(set(objectives)), len(set(nested))
    return VarianceShares(
        objective=objective,
        hyperparameter=hyperparameter,
        seed=seed if groups < runs else None,
        objective_by_chance=(kinds - 1) / (runs - 1),
        hyperparameter_by_chance=(groups - kinds) / (runs - 1),
        runs=runs,
        settings=groups,
        objectives=kinds,
    )


def _group_means(values: np.ndarray, groups: Sequence[Hashable]) -> np.ndarray:
    """The mean of each one's group, (runs,)."""
    places: dict[Hashable, int] = {}
    number = np.array([places.setdefault(group, len(places)) for group in groups])
    means = np.bincount(number, weights=values) / np.bincount(number)
    of_each: np.ndarray = means[number]
    return of_each
