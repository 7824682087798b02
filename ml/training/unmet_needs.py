"""Whether a data set can give the batches that an objective needs."""

from __future__ import annotations

import numpy as np

from ml.datasets.dataset import Dataset, FactorKind
from ml.objectives.protocol import Needs


class UnmetNeeds(ValueError):
    """The data set cannot give the batches that the objective needs."""

    advice = "choose another data set or another objective, or correct their params"

    def __init__(self, name: str, expected: str) -> None:
        super().__init__(f"the objective needs {expected}. The data set {name} cannot give this")


def check_needs(needs: Needs, data: Dataset, latents: int) -> None:
    """Raise `UnmetNeeds` if the data set lacks the factors that these needs take."""
    if needs.pairs is None and needs.labels is None:
        return
    if expected := needs.unmet(varying_factors(data), latents):
        raise UnmetNeeds(data.name, expected)


def varying_factors(data: Dataset) -> dict[str, FactorKind]:
    """The kind of each factor that takes several values among the images with known factors."""
    known = data.labelled()
    if not len(known):
        return {}
    several = [size > 1 for size in data.factor_sizes]
    if isinstance(data.labels, np.ndarray):
        several = (np.ptp(data.labels[known], axis=0) > 0).tolist()
    described = zip(data.factor_names, data.factor_kinds, several, strict=True)
    return {name: kind for name, kind, varies in described if varies}
