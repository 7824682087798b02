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
    has no rows, or all of them, or a score that is NaN, has NaN.
    """
    rows, number = scores.shape
    order = np.argsort(classes, kind="stable")
    begin = np.searchsorted(classes[order], np.arange(number + 1))
    columns = np.sort(scores.T, axis=1)
    areas = np.full(number, np.nan)
    for k, column in enumerate(columns):
        own = np.sort(scores[order[begin[k] : begin[k + 1]], k])
        pairs = float(len(own) * (rows - len(own)))
        # NaN sorts last.
        if not pairs or np.isnan(column[-1]):
            continue
        # Equal scores share the mean of their ranks. Only the ranks of the class itself are looked
        # up. Their sum is a multiple of a half, and so exact.
        below, up_to = (np.searchsorted(column, own, side) for side in ("left", "right"))
        ranks = (below + up_to + 1).sum() / 2
        areas[k] = (ranks - len(own) * (len(own) + 1) / 2) / pairs
    return areas
