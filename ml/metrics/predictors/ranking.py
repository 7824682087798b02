"""How well scores rank the rows of a class above the others."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int


def areas_under_curves(
    scores: Float[np.ndarray, "samples classes"], classes: Int[np.ndarray, "samples"]
) -> Float[np.ndarray, "classes"]:
    r"""Area under the ROC curve of each class against the others.

    .. math:: P(s_+ > s_-) + \tfrac12 P(s_+ = s_-)

    for a row of the class and one of the others (Mann and Whitney). `classes` are columns of
    `scores`, or -1 for rows of no class. Areas are in [0, 1], and chance gives 0.5. A class that
    has no rows, or all of them, has NaN.
    """
    # The import takes a second, and a process that only trains does not need it.
    from scipy.stats import rankdata

    ranks = rankdata(scores, axis=0)
    own = classes[:, None] == np.arange(scores.shape[1])
    positive = own.sum(0).astype(np.float64)
    pairs = positive * (len(scores) - positive)
    above = (ranks * own).sum(0) - positive * (positive + 1) / 2
    areas: np.ndarray = np.divide(above, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)
    return areas
