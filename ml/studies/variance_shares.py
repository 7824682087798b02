"""What the differences between runs come from: objective, hyperparameter or seed."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from pydantic import ConfigDict

from ml.components.described import Described


class VarianceShares(Described):
    """Shares of a number's variance across runs. They add up to 1."""

    model_config = ConfigDict(frozen=True)

    objective: float
    """Share between objectives; 0 if there is only one."""
    hyperparameter: float
    """Share between settings of one objective."""
    seed: float | None
    """Share between runs of one setting. None where no setting has two runs: the seed's share is
    then unknown, and all of it counts as the hyperparameter's."""
    objective_by_chance: float
    """The share that the objective would have on average if it had no effect."""
    hyperparameter_by_chance: float
    """The share that the hyperparameter would have on average if neither had an effect."""
    runs: int
    """Runs with a value."""
    settings: int
    objectives: int


def variance_shares(
    values: Sequence[float], objectives: Sequence[Hashable], settings: Sequence[Hashable]
) -> VarianceShares | None:
    r"""Shares of the variance of `values` (one for each run) by nested sums of squares.

    With :math:`\bar y_o` and :math:`\bar y_s` the means over an objective's and a setting's runs,

    .. math::
        \sum (y - \bar y)^2 = \sum (\bar y_o - \bar y)^2 + \sum (\bar y_s - \bar y_o)^2
        + \sum (y - \bar y_s)^2

    over all runs; groups may differ in size. The first share is the R² of predicting the number
    from the objective. The first two together are the R² of predicting it from objective and
    hyperparameter.

    Few runs make the first two too large. Among runs that differ by chance alone, their sum is
    (settings - 1) / (runs - 1) on average, which is 1 if each setting has one run. The result
    states the share that each would have by chance.

    Args:
        values: finite numbers.
        objectives: the objective of each run.
        settings: the hyperparameters of each run. Equal ones under two objectives are two settings.

    Returns:
        None if there are fewer than two runs, or all have the same value.

    References:
        Locatello et al., 2019, section 5.3, https://arxiv.org/abs/1811.12359
    """
    found = np.asarray(values, dtype=np.float64)
    if len(found) < 2 or np.all(found == found[0]):
        return None
    # Sums and squares of large numbers might overflow, and shares do not depend on the scale.
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
    """For each run the mean of its group, (runs,)."""
    places: dict[Hashable, int] = {}
    number = np.array([places.setdefault(group, len(places)) for group in groups])
    means = np.bincount(number, weights=values) / np.bincount(number)
    of_each: np.ndarray = means[number]
    return of_each
